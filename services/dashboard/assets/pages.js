// Every page works without this. With it, a page follows the server, and a keyboard is enough.

import { follow } from "./live.js";
import { listen } from "./keys.js";
import { tellTimes } from "./times.js";

document.addEventListener("click", (event) => {
  const copy = event.target.closest("[data-copy]");
  if (!copy) return;
  navigator.clipboard?.writeText(copy.dataset.copy).then(() => {
    copy.dataset.done = "";
    setTimeout(() => delete copy.dataset.done, 1200);
  });
});

document.addEventListener("submit", (event) => {
  const words = event.submitter?.dataset.confirm;
  if (words && !window.confirm(words)) event.preventDefault();
});

// A bulk action goes on portion by portion, each a request of its own, until the server says that it is done.
document.querySelector("form[data-goes-on]")?.requestSubmit();

listen();
tellTimes();
follow();
