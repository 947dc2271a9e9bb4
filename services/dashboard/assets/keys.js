// The keyboard: `/` searches, `j` and `k` move in a list, Enter opens, `g` and a letter go to a view, `?` helps.

let goes = false;
let goesTimer = 0;

const help = () => document.getElementById("help");
const rows = () => [...document.querySelectorAll("main [data-row]")];
const isField = (element) => element.matches("input, textarea, select, [contenteditable]");

const select = (row) => {
  for (const other of document.querySelectorAll("[data-selected]")) delete other.dataset.selected;
  row.dataset.selected = "";
  (row.querySelector("a.main") ?? row.querySelector("summary"))?.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
};

const move = (by) => {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => "selected" in row.dataset);
  select(all[Math.min(Math.max(at + by, 0), all.length - 1)]);
};

const open = () => {
  const row = document.querySelector("[data-selected]");
  const link = row?.querySelector("a.main");
  if (link) link.click();
  else if (row?.matches("details")) row.open = !row.open;
};

const toggleAll = () => {
  const all = [...document.querySelectorAll("main details[data-row]")];
  const opened = all.some((details) => details.open);
  for (const details of all) details.open = !opened;
};

const click = (selector) => document.querySelector(selector)?.click();

const ACTIONS = {
  "/": () => document.querySelector("[data-search]")?.select(),
  j: () => move(1),
  k: () => move(-1),
  n: () => click("[data-next]"),
  x: toggleAll,
  c: () => { location.href = "/events/send"; },
  "?": () => help().showModal(),
};

const onKey = (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.matches("textarea")) {
    event.target.form?.requestSubmit();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || help().open) return;
  if (event.key === "Escape") event.target.blur();
  if (isField(event.target)) return;
  if (goes) {
    goes = false;
    const target = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    if (target) target.click();
    event.preventDefault();
    return;
  }
  if (event.key === "g") {
    goes = true;
    clearTimeout(goesTimer);
    goesTimer = setTimeout(() => { goes = false; }, 1500);
    return;
  }
  if (event.key === "Enter" && event.target === document.body) {
    open();
    return;
  }
  const action = ACTIONS[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
};

export const listen = () => {
  document.addEventListener("keydown", onKey);
  document.getElementById("help-button")?.addEventListener("click", () => help().showModal());
};
