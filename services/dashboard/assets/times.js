// Relative times that stay true while a page is open; the exact time, in the reader's zone, is in the title.

const UNITS = [[86400000, "d"], [3600000, "h"], [60000, "m"], [1000, "s"]];

const coarse = (ms) => {
  const [size, unit] = UNITS.find(([size]) => ms >= size) ?? [1000, "s"];
  return `${Math.floor(ms / size)} ${unit}`;
};

const length = (ms) => {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  const at = UNITS.findIndex(([size]) => ms >= size);
  const [size, unit] = UNITS[at];
  const [nextSize, nextUnit] = UNITS[at + 1];
  const rest = Math.floor((ms % size) / nextSize);
  return `${Math.floor(ms / size)} ${unit}${rest ? ` ${rest} ${nextUnit}` : ""}`;
};

const refresh = () => {
  const now = Date.now();
  for (const time of document.querySelectorAll("time[datetime]")) {
    const moment = Date.parse(time.dateTime);
    const ago = now - moment;
    if (Math.abs(ago) > 30 * 86400000) continue;
    const told = Math.abs(ago) < 1000 ? "now" : ago > 0 ? `${coarse(ago)} ago` : `in ${coarse(-ago)}`;
    if (time.textContent !== told) time.textContent = told;
    const exact = `${new Date(moment).toLocaleString()} (${time.dateTime})`;
    if (time.title !== exact) time.title = exact;
  }
  for (const open of document.querySelectorAll("[data-since]")) {
    const told = length(Math.max(now - Number(open.dataset.since), 0));
    if (open.textContent !== told) open.textContent = told;
  }
};

export const tellTimes = () => {
  refresh();
  setInterval(refresh, 1000);
};
