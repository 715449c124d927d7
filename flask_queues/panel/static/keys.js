// Keys for lists and pages, for those who have turned them on. None is needed, and none acts where somebody types.
(() => {
  "use strict";
  const { root } = document.currentScript.dataset;
  const PAGES = { p: "jobs", r: "running", s: "scheduled", f: "failed", c: "completed", m: "metrics" };
  let went = 0;

  const links = () => [...document.querySelectorAll("#q-rows th a")];
  const step = (by) => {
    const found = links();
    const at = found.findIndex((link) => link.closest("tr").contains(document.activeElement));
    found[at < 0 ? 0 : Math.max(0, Math.min(found.length - 1, at + by))]?.focus();
  };

  const DOES = {
    "/": () => document.querySelector("input[type=search]")?.focus(),
    j: () => step(1),
    k: () => step(-1),
    x: () => document.activeElement.closest("tr")?.querySelector(".q-check input")?.click(),
    g: () => (went = Date.now()),
    ".": () => document.querySelector("[data-pause]")?.click(),
    "?": () => location.assign(`${root}preferences`),
  };

  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (target.matches("input:not([type=checkbox]), select, textarea, [contenteditable]")) return;
    const page = Date.now() - went < 2000 && PAGES[key];
    went = 0;
    if (page) location.assign(root + page);
    else if (DOES[key]) DOES[key]();
    else return;
    event.preventDefault();
  });
})();
