// Make one tree like another with the fewest changes: elements are matched by id, or else by place and name.

const KEPT = new Set(["open", "data-selected", "data-fresh"]);

const sameAttributes = (old, made) => {
  for (const { name, value } of made.attributes) {
    if (!KEPT.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!KEPT.has(name) && !made.hasAttribute(name)) old.removeAttribute(name);
  }
};

const isTouched = (element) => element === document.activeElement || element.value !== element.defaultValue;

const fits = (old, made) => old.nodeType === made.nodeType && old.nodeName === made.nodeName && (old.id ?? "") === (made.id ?? "");

const sameNode = (old, made) => {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== made.nodeValue) old.nodeValue = made.nodeValue;
    return;
  }
  if (old.matches("input, textarea, select") && isTouched(old)) return;
  if (old.isEqualNode(made)) return;
  morph(old, made);
};

const sameChildren = (old, made) => {
  const byId = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let at = old.firstChild;
  for (const wanted of [...made.childNodes]) {
    const known = wanted.id ? byId.get(wanted.id) : at && fits(at, wanted) ? at : null;
    if (known && fits(known, wanted)) {
      if (known !== at) old.insertBefore(known, at);
      else at = at.nextSibling;
      sameNode(known, wanted);
    } else {
      const fresh = document.importNode(wanted, true);
      if (fresh.matches?.("tr[data-row]")) fresh.dataset.fresh = "";
      old.insertBefore(fresh, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
};

export const morph = (old, made) => {
  sameAttributes(old, made);
  sameChildren(old, made);
};
