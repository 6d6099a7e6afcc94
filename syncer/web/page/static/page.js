// Keeps the page current without moving the reader: fetches it again and puts in what changed.
"use strict";

const EVERY_MS = 10_000;
const GIVE_UP_MS = 30_000;
const pause = document.getElementById("pause");
const trouble = document.getElementById("trouble");
let lastReadAt = new Date();

function isPaused() {
  return pause.getAttribute("aria-pressed") === "true";
}

function isReading(main) {
  // Text that somebody is marking must not vanish under the pointer.
  const selection = document.getSelection();
  return selection !== null && !selection.isCollapsed && main.contains(selection.anchorNode);
}

function say(element, text) {
  // A live region is read aloud at each change, so it is left alone when nothing changed.
  if (element.textContent !== text) element.textContent = text;
}

function remember(main) {
  const focused = document.activeElement;
  const holder = focused && focused.closest("[id]");
  return {
    open: new Set([...main.querySelectorAll("details[open]")].map((each) => each.id)),
    scrolled: [...main.querySelectorAll(".scroll")].map((each) => [each.id, each.scrollLeft, each.scrollTop]),
    // What has no id is found again by its place among the links and buttons of the nearest that has one.
    focus: holder && main.contains(focused) && [holder.id, places(holder).indexOf(focused)],
    page: [window.scrollX, window.scrollY],
  };
}

function places(holder) {
  return [...holder.querySelectorAll("a, summary, button")];
}

function restore(main, kept) {
  for (const each of main.querySelectorAll("details[id]")) each.open = kept.open.has(each.id);
  for (const [id, left, top] of kept.scrolled) {
    const each = id && document.getElementById(id);
    if (each) each.scrollTo(left, top);
  }
  if (kept.focus) {
    const holder = document.getElementById(kept.focus[0]);
    const target = holder && (kept.focus[1] < 0 ? holder : places(holder)[kept.focus[1]] || holder);
    if (target) target.focus({ preventScroll: true });
  }
  window.scrollTo(...kept.page);
}

function show(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const main = document.getElementById("main");
  const next = fresh.getElementById("main");
  const summary = fresh.getElementById("summary");
  if (!next || !summary) throw new Error("not a status page");
  const shown = document.getElementById("summary");
  if (shown.textContent !== summary.textContent) {
    shown.className = summary.className;
    shown.replaceChildren(...summary.childNodes);
  }
  document.title = fresh.title;
  if (main.innerHTML === next.innerHTML) return;
  const kept = remember(main);
  main.replaceWith(next);
  restore(next, kept);
}

async function refresh() {
  if (isPaused() || document.hidden || isReading(document.getElementById("main"))) return;
  try {
    const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(GIVE_UP_MS) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    show(await answer.text());
    lastReadAt = new Date();
    say(trouble, "");
  } catch {
    const since = lastReadAt.toISOString().slice(0, 19).replace("T", " ");
    say(trouble, `syncer does not answer. What you see is from ${since} UTC; this page keeps trying.`);
  }
}

async function keepCurrent() {
  await refresh();
  setTimeout(keepCurrent, EVERY_MS);
}

pause.addEventListener("click", () => {
  const paused = !isPaused();
  pause.setAttribute("aria-pressed", String(paused));
  if (!paused) refresh();
});
document.addEventListener("visibilitychange", refresh);
pause.parentElement.hidden = false;
setTimeout(keepCurrent, EVERY_MS);
