// Keeps what is shown of jobs up to date, on the page of a link and in pages of the application. It never makes HTML from text.
(() => {
  "use strict";
  const watch = (box) => {
    const seconds = Number(box.dataset.refresh);
    if (seconds) setTimeout(() => (document.hidden ? watch(box) : ask(box)), seconds * 1000);
  };

  const ask = (box) => {
    const request = new XMLHttpRequest();
    request.open("GET", box.dataset.jobState);
    request.responseType = "document"; // passes Trusted Types, unlike innerHTML
    request.timeout = 20000;
    request.onloadend = () => {
      const next = request.status === 200 && request.response?.querySelector("[data-job-state]");
      if (next) apply(box, next);
      else if (request.status === 404) box.dataset.refresh = 0;
      if (box.isConnected) watch(box);
    };
    request.send();
  };

  // Only what has changed is replaced, so that focus and an open question stay.
  const apply = (box, next) => {
    box.dataset.refresh = next.dataset.refresh;
    box.firstElementChild.className = next.firstElementChild.className;
    for (const now of next.querySelectorAll("[data-part]")) {
      const old = box.querySelector(`[data-part="${now.dataset.part}"]`);
      if (!same(old, now)) old.replaceChildren(...now.childNodes);
      else for (const token of old.querySelectorAll("input")) token.value = now.querySelector(`[name="${token.name}"]`).value;
    }
  };

  const same = (old, now) => {
    const [first, second] = [old, now].map((node) => node.cloneNode(true));
    for (const node of [first, second]) {
      for (const open of node.querySelectorAll("[open]")) open.removeAttribute("open");
      for (const token of node.querySelectorAll("input")) token.remove();
    }
    return first.isEqualNode(second);
  };

  for (const box of document.querySelectorAll("[data-job-state]")) watch(box);
})();
