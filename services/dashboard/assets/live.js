// A page follows the server: told that something changed, it asks for itself again and takes over what differs.
// Elements stay the same elements, so focus, selection, scroll and open details stay where they are.

import { morph } from "./morph.js";

const SHORTEST_MS = 700;
const pulse = () => document.getElementById("pulse");

let waiting = false;
let asking = false;
let again = false;

const show = (state, words) => {
  const element = pulse();
  if (!element) return;
  element.dataset.state = state;
  element.querySelector(".pulse-text").textContent = words;
};

const beat = () => {
  const element = pulse();
  delete element.dataset.beat;
  requestAnimationFrame(() => { element.dataset.beat = ""; });
};

const refresh = async () => {
  asking = true;
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "error" });
    if (response.status >= 500) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const main = page.querySelector("main");
    if (main) {
      // A word about an action is for once; a refreshed page does not carry it any more.
      const note = document.querySelector("main > .note");
      if (note && !main.querySelector(":scope > .note")) main.prepend(note.cloneNode(true));
      morph(document.querySelector("main"), main);
      document.body.dataset.live = page.body.dataset.live;
      document.title = page.title;
      beat();
    }
  } catch {
    show("lost", "reconnecting");
  } finally {
    asking = false;
    if (again) {
      again = false;
      later();
    }
  }
};

// Changes that come close together are one refresh; a hidden page waits until it is seen.
const later = () => {
  if (asking) again = true;
  if (waiting || asking || document.hidden) {
    again ||= document.hidden;
    return;
  }
  waiting = true;
  setTimeout(() => {
    waiting = false;
    refresh();
  }, SHORTEST_MS);
};

const concerns = (change) => {
  const [what, id] = (document.body.dataset.live ?? "").split(":");
  const { runs = {}, events = [], functions, dead_letters: letters, more } = change;
  const changed = [...(runs.started ?? []), ...(runs.changed ?? []), ...(runs.ended ?? [])];
  switch (what) {
    case "run": return more || changed.includes(id);
    case "runs": return more || changed.length > 0;
    case "event": return more || changed.length > 0 || events.includes(id);
    case "events": return more || events.length > 0;
    case "functions": return more || functions || changed.length > 0;
    case "dead_letters": return more || letters;
    default: return true;
  }
};

export const follow = () => {
  const live = document.body.dataset.live;
  if (!live) return;
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && again) {
      again = false;
      later();
    }
  });
  const every = /^every:(\d+)$/.exec(live);
  if (every) {
    show("on", `every ${every[1]} s`);
    setInterval(later, Number(every[1]) * 1000);
    return;
  }
  const source = new EventSource("/live");
  source.addEventListener("open", () => show("on", "live"));
  source.addEventListener("error", () => show("lost", "reconnecting"));
  source.addEventListener("refresh", later);
  source.addEventListener("changed", (event) => {
    if (concerns(JSON.parse(event.data))) later();
  });
};
