// Walks and zooms in a flame graph without asking the server. Without it the frames are links and the search is a form.
"use strict";

(() => {
  const picture = document.getElementById("flame");
  if (!picture) return;
  const frames = [...picture.querySelectorAll("a.frame")].map((link) => ({
    link,
    box: link.querySelector("svg"),
    text: link.querySelector("text"),
    index: Number(link.dataset.i),
    parent: Number(link.dataset.p),
    left: Number(link.dataset.l),
    share: Number(link.dataset.w),
  }));
  const byIndex = new Map(frames.map((frame) => [frame.index, frame]));
  const says = document.getElementById("flame-says");
  const found = document.getElementById("flame-found");
  const search = document.getElementById("flame-q");
  const LABEL_SHARE = 0.025, NARROWEST = 0.0004;
  const HEIGHT = 20;

  function isBelow(frame, other) {
    for (let up = frame; up; up = byIndex.get(up.parent)) if (up === other) return true;
    return false;
  }

  // The page may have been sent looking at a frame already; then what is not below that frame is not in it.
  const first = frames.find((frame) => !frame.link.classList.contains("caller"));
  let focus = first;

  function look(at) {
    focus = at;
    let height = 0;
    for (const frame of frames) {
      const caller = frame !== at && isBelow(at, frame);
      const inside = caller || isBelow(frame, at);
      const share = caller || frame === at ? 1 : frame.share / at.share;
      const shown = inside && share >= NARROWEST;
      frame.link.classList.toggle("out", !shown);
      frame.link.classList.toggle("caller", caller);
      if (!shown) continue;
      frame.box.setAttribute("x", (caller ? 0 : (frame.left - at.left) / at.share * 100).toFixed(4) + "%");
      frame.box.setAttribute("width", (share * 100).toFixed(4) + "%");
      frame.text.textContent = share >= LABEL_SHARE ? frame.link.dataset.s : "";
      height = Math.max(height, Number(frame.box.getAttribute("y")) + HEIGHT);
    }
    picture.setAttribute("height", height);
  }

  function choose(frame, focused) {
    for (const other of frames) other.link.setAttribute("tabindex", other === frame ? "0" : "-1");
    says.textContent = frame.link.getAttribute("aria-label");
    if (focused) frame.link.focus();
  }

  function zoom(frame, remember) {
    look(frame);
    choose(frame, false);
    if (remember) history.pushState({ frame: frame.index }, "", frame.link.getAttribute("href"));
  }

  // A caller of the frame that the page was sent with has callees that are not here.
  function isWhole(frame) {
    return frame === first || !isBelow(first, frame);
  }

  picture.addEventListener("click", (event) => {
    const link = event.target.closest("a.frame");
    const frame = link && byIndex.get(Number(link.dataset.i));
    if (!frame || event.ctrlKey || event.metaKey || event.shiftKey || event.button || !isWhole(frame)) return;
    event.preventDefault();
    zoom(frame, true);
  });

  function neighbour(frame, key) {
    const shown = frames.filter((other) => !other.link.classList.contains("out"));
    if (key === "ArrowUp") return byIndex.get(frame.parent);
    if (key === "ArrowDown") return shown.filter((other) => other.parent === frame.index).sort((a, b) => b.share - a.share)[0];
    const row = shown.filter((other) => other.box.getAttribute("y") === frame.box.getAttribute("y"));
    return row[row.indexOf(frame) + (key === "ArrowRight" ? 1 : -1)];
  }

  picture.addEventListener("keydown", (event) => {
    const link = event.target.closest("a.frame");
    const frame = link && byIndex.get(Number(link.dataset.i));
    if (!frame) return;
    if (event.key.startsWith("Arrow")) {
      event.preventDefault();
      const next = neighbour(frame, event.key);
      if (next) choose(next, true);
    } else if (event.key === "Escape" && focus !== first) {
      zoom(byIndex.get(focus.parent) || first, true);
      choose(focus, true);
    }
  });

  picture.addEventListener("focusin", (event) => {
    const link = event.target.closest("a.frame");
    if (link) choose(byIndex.get(Number(link.dataset.i)), false);
  });
  picture.addEventListener("pointerover", (event) => {
    const link = event.target.closest("a.frame");
    if (link) says.textContent = link.getAttribute("aria-label");
  });

  search.addEventListener("input", () => {
    const words = search.value.trim().toLowerCase();
    let count = 0, share = 0, end = -1;
    for (const frame of frames) {
      const name = frame.link.getAttribute("aria-label").toLowerCase();
      const where = name.lastIndexOf(": itself ");
      const hit = words !== "" && frame.index > 0 && name.slice(0, where).includes(words);
      frame.link.classList.toggle("hit", hit);
      if (!hit) continue;
      count += 1;
      if (frame.left >= end - 1e-9) {
        share += frame.share;
        end = frame.left + frame.share;
      }
    }
    // Of a page that was sent looking at a frame, the rest is not here to be counted.
    found.textContent = words && first.index === 0 ? count + (count === 1 ? " frame matches, " : " frames match, ") + (share * 100).toFixed(1) + " % of the whole" : "";
  });

  window.addEventListener("popstate", () => {
    const wanted = byIndex.get(Number(new URLSearchParams(location.search).get("frame") || 0));
    if (wanted && isWhole(wanted)) zoom(wanted, false);
    else location.reload();
  });

  document.getElementById("flame-keys").hidden = false;
  choose(first, false);
})();
