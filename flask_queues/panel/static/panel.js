// Keeps live regions up to date, and still under the hand. The server makes all HTML and formats all times.
(() => {
  "use strict";
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const on = (kind, does) => document.addEventListener(kind, does);
  const line = $("#q-live-line");
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const tell = (text) => ($("#q-said").textContent = text);

  document.cookie = `queues_zone=${timeZone};path=${document.currentScript.dataset.root};max-age=31536000;samesite=lax`;

  const ask = (url, headers, done) => {
    const request = new XMLHttpRequest();
    request.open("GET", url);
    request.responseType = "document"; // passes Trusted Types, unlike innerHTML
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.timeout = 20000;
    request.onloadend = () => done(request);
    request.send();
  };

  const hasFocus = (node) => node.contains(document.activeElement);

  const attributes = (old, now) => {
    for (const { name } of [...old.attributes, ...now.attributes]) {
      if (["open", "hidden"].includes(name)) continue;
      if (now.hasAttribute(name)) old.setAttribute(name, now.getAttribute(name));
      else if (name !== "class") old.removeAttribute(name);
    }
  };

  // Make one node like another; what is the same stays, with focus and selection.
  const morph = (old, now) => {
    if (old.isEqualNode(now)) return;
    if (old.nodeType !== 1) return (old.nodeValue = now.nodeValue);
    if (old.matches("input, select, textarea")) return;
    attributes(old, now);
    if (old.id === "q-live" && $("#q-rows", old) && !$("#q-rows", now) && isHeld()) return;
    if (old.id === "q-rows" && (isHeld() || "fixed" in old.dataset)) rowsInPlace(old, now);
    else children(old, now);
  };

  const children = (old, now) => {
    const wanted = new Set([...now.childNodes].map((node) => node.id));
    for (const node of [...old.childNodes]) if (node.id && !wanted.has(node.id) && !hasFocus(node)) node.remove();
    let place = old.firstChild;
    for (const next of [...now.childNodes]) {
      let same = next.id ? [...old.children].find((node) => node.id === next.id) : place;
      if (same && !next.id && (same.id || same.nodeName !== next.nodeName)) same = null;
      if (!same) old.insertBefore(document.importNode(next, true), place);
      else {
        if (same !== place && !hasFocus(same)) old.insertBefore(same, place);
        const after = same.nextSibling;
        morph(same, next);
        if (same === place || !place?.isConnected) place = after;
      }
    }
    while (place) {
      const next = place.nextSibling;
      if (!hasFocus(place)) place.remove();
      place = next;
    }
  };

  // Rows neither appear, vanish nor move; their values change.
  let newer = 0;
  const rowsInPlace = (old, now) => {
    const next = new Map([...now.children].map((row) => [row.id, row]));
    for (const row of old.children) {
      const cells = next.get(row.id)?.children ?? [];
      if (cells.length === row.children.length) [...row.children].forEach((cell, n) => morph(cell, cells[n]));
      next.delete(row.id);
    }
    newer = "fixed" in old.dataset ? 0 : next.size;
  };

  const markMoved = (answer) => {
    for (const item of all("#q-moved [data-row]", answer)) {
      const row = document.getElementById(`row-${item.dataset.row}`);
      if (!row) continue;
      row.classList.add("q-moved");
      $("th > .q-badge", row)?.remove();
      $("th", row).prepend(document.importNode(item.firstElementChild, true));
    }
  };

  const sayNewer = () => {
    const note = $("#q-newer");
    if (!note) return;
    note.hidden = !newer;
    note.firstElementChild.textContent = newer === 1 ? note.dataset.one : note.dataset.other.replace("#", newer);
  };

  let pointed = false;
  const isHeld = () => {
    const selection = getSelection();
    const list = $("#q-live");
    return (
      pointed ||
      list?.contains(document.activeElement) ||
      $("#q-list td input:checked, dialog[open], details.q-menu[open], .q-table details[open]") ||
      (!selection.isCollapsed && list?.contains(selection.anchorNode))
    );
  };

  const apply = (answer) => {
    newer = 0;
    const log = $("#q-log-lines");
    const atEnd = log && log.scrollHeight - log.scrollTop - log.clientHeight < 30;
    for (const region of all("[data-live]")) {
      const next = answer.getElementById(region.id);
      if (next && (region.id !== "q-notes" || !isHeld())) morph(region, next); // a note moves rows
    }
    if (log?.isConnected && atEnd) log.scrollTop = log.scrollHeight;
    markMoved(answer);
    sayNewer();
    ready();
  };

  const every = line?.dataset.refresh * 1000;
  let timer, etag, last, clock, ended;
  let failures = 0;
  let touched = Date.now();
  let paused = sessionStorage.queuesPaused === "true";

  const say = (word, kind) => {
    if (kind === "q-lost" && !line.matches(".q-lost")) tell(word);
    $("[data-word]", line).textContent = word;
    line.className = `q-live ${kind}`;
  };

  const showState = () => {
    const { liveWord, pausedWord, lostWord } = line.dataset;
    if (failures) say(`${lostWord} ${clock}`, "q-lost");
    else if (paused) say(`${pausedWord} · ${clock}`, "");
    else say(`${liveWord} · ${clock}`, "q-on");
    button.textContent = paused ? line.dataset.resumeWord : line.dataset.pauseWord;
  };

  const signedOut = () => {
    ended = true;
    say(line.dataset.outWord, "q-lost");
    button.nextElementSibling.hidden = false;
    button.remove();
  };

  const wait = (time) => {
    clearTimeout(timer);
    if (!ended && !paused) timer = setTimeout(refresh, time);
  };

  const refresh = () => {
    if (document.hidden || paused || ended) return;
    if (Date.now() - touched > 1800000) return pause(true);
    const rows = all("#q-rows > tr[id]").map((row) => row.id.slice(4));
    ask(location.href, { "X-Queues-Live": 1, "X-Queues-Rows": rows, "If-None-Match": etag ?? "" }, (request) => {
      const { status, responseURL } = request;
      const elsewhere = status === 200 && responseURL !== location.href.split("#")[0];
      if (elsewhere || [401, 403].includes(status)) return signedOut();
      if (status === 404) return location.reload();
      if (![200, 304].includes(status)) {
        failures += 1;
        showState();
        return wait(Math.min(60000, every * 2 ** (failures - 1)));
      }
      failures = 0;
      clock = request.getResponseHeader("X-Queues-Clock") ?? clock;
      const token = request.getResponseHeader("X-Queues-Token");
      if (token) for (const field of all("[data-token]")) field.value = token;
      etag = request.getResponseHeader("ETag");
      if (status === 200) apply((last = request.response)); // a 304 has none
      showState();
      wait(every);
    });
  };

  const pause = (is) => {
    paused = is;
    sessionStorage.queuesPaused = is;
    showState();
    if (!is) refresh();
  };

  const ready = () => {
    for (const copy of all("[data-copy][hidden]")) copy.hidden = !navigator.clipboard;
  };

  // All rows, or with shift those from the one before.
  let first;
  const check = (box, shift) => {
    const boxes = all("#q-rows .q-check input");
    const [from, to] = [boxes.indexOf(first), boxes.indexOf(box)].sort((a, b) => a - b);
    for (const one of box.id ? boxes : shift ? boxes.slice(from, to) : []) one.checked = box.checked;
    first = box;
    tell(`${all("#q-rows input:checked").length} ${$("#q-list").dataset.word}`);
  };

  const dialogFor = (url, opener) =>
    ask(url, {}, (request) => {
      const form = request.response && $("#q-confirm", request.response);
      if (!form) return location.assign(url);
      const dialog = document.createElement("dialog");
      dialog.append(form);
      dialog.setAttribute("aria-label", $("h2", form).textContent);
      $(".queues").append(dialog);
      dialog.onclose = () => {
        dialog.remove();
        opener.focus();
      };
      dialog.onclick = (event) => {
        if (event.target !== dialog && !event.target.closest("[data-keep]")) return;
        event.preventDefault();
        dialog.close();
      };
      dialog.showModal();
    });

  on("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) navigator.clipboard.writeText($(`#${copy.dataset.copy}`).textContent).then(() => tell((copy.lastElementChild.textContent = copy.dataset.copied)));
    if (event.target.closest("#q-newer button") && last) {
      for (const box of all("#q-list input:checked")) box.checked = false;
      pointed = false;
      document.activeElement.blur();
      apply(last);
      return;
    }
    if (event.target.matches(".q-check input")) check(event.target, event.shiftKey);
    const danger = event.target.closest("[data-confirm], [form=q-ask]");
    if (!danger || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const url = new URL(danger.href ?? danger.form.action);
    for (const [name, value] of new FormData(danger.form, danger)) url.searchParams.append(name, value);
    dialogFor(url.href, danger);
  });

  on("pointerover", (event) => (pointed = event.pointerType === "mouse" && !!event.target.closest("#q-rows")));
  on("pointerleave", () => (pointed = false));
  for (const kind of ["pointerdown", "keydown", "wheel"]) on(kind, () => (touched = Date.now()));

  ready();
  if (!line) return;
  clock = $("[data-word]", line).textContent.match(/[\d:]{8}/)?.[0] ?? "";
  const button = $("[data-pause]", line);
  button.hidden = false;
  button.onclick = () => pause(!paused);
  $("[data-refresh-link]", line).remove();
  on("visibilitychange", refresh);
  showState();
  wait(every);
})();
