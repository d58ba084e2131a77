// What keeps a page alive besides htmx: clocks that tick, menus that close, details that stay as they were left.
"use strict";

// The server's clock counts; two seconds cover the way of the page.
const ahead = Number(document.body.dataset.now) * 1000 - Date.now();
const skew = Math.abs(ahead) > 2000 ? ahead : 0;

function pad(number) {
  return String(number).padStart(2, "0");
}

function duration(seconds) {
  if (seconds < 99.95) return seconds.toFixed(1) + " s";
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60), hours = Math.floor(whole / 3600);
  if (hours < 1) return minutes + " min " + pad(whole % 60) + " s";
  return hours < 24 ? hours + " h " + pad(minutes % 60) + " min" : Math.floor(hours / 24) + " d " + (hours % 24) + " h";
}

function ago(seconds) {
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) return Math.floor(seconds / size) + " " + unit + " ago";
  }
  return Math.max(0, Math.floor(seconds)) + " s ago";
}

function show(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tick() {
  const now = Date.now() + skew;
  for (const e of document.querySelectorAll("[data-since]")) show(e, duration(Math.max(0, now - e.dataset.since) / 1000));
  for (const e of document.querySelectorAll("[data-ago]")) show(e, ago((now - e.dataset.ago) / 1000));
}

setInterval(tick, 1000);

const left = new Map();

document.addEventListener("toggle", (event) => {
  if (event.target.closest("#live") && event.target.id) left.set(event.target.id, event.target.open);
}, true);

document.addEventListener("htmx:afterSwap", () => {
  for (const [id, open] of left) {
    const details = document.getElementById(id);
    if (details) details.open = open;
  }
  tick();
});

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false;
}

document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));

document.addEventListener("keydown", (event) => {
  const menu = document.querySelector("details.menu[open]");
  if (event.key === "Escape" && menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
