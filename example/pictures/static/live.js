"use strict";
// Loads the page again once a second while something on it is under way, and replaces only what has changed.
// Parts to replace carry an id and data-live: "on" while more is to come, "off" at the end.

const EVERY = 1000;

function busy(part) {
  return part.contains(document.activeElement) || part.matches(":hover:has(button)");
}

function replaceChanged(loaded) {
  for (const part of document.querySelectorAll("[data-live=on]")) {
    const fresh = loaded.getElementById(part.id);
    if (fresh && !busy(part) && fresh.outerHTML !== part.outerHTML) {
      part.replaceWith(document.importNode(fresh, true));
    }
  }
}

function refresh() {
  if (!document.querySelector("[data-live=on]")) return;
  if (document.hidden) return again();
  const request = new XMLHttpRequest();
  request.open("GET", location.href);
  request.responseType = "document";
  request.timeout = 10000;
  request.onloadend = () => {
    if (request.status === 200 && request.responseXML) replaceChanged(request.responseXML);
    again();
  };
  request.send();
}

function again() {
  setTimeout(refresh, EVERY);
}

again();
