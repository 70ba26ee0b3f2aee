// The keys: everything that the mouse does.

import { add, beside, remove, shift } from "./editing.js";
import { choose, compare, draw, keep, keepAll, open, retake, travel } from "./line.js";
import { $, page, say, trying } from "./page.js";

export const KEYS = [
  ["Space", "play, pause"], ["Left, Right", "one frame back, on"], ["Shift + Left, Right", "ten frames"], ["Home", "to the start"],
  ["[ ]", "slower, faster"], ["L", "loop"], ["I, O", "the range begins, ends here"], ["Esc", "no range"],
  ["R", "the range anew: another take of it"], ["N", "another take: another seed"], ["C", "choose this take of the line"],
  ["S, G, P", "a new segment, gesture, pin here"], [", .", "the block before, the next"], ["Alt + Left, Right", "the block a frame back, on"],
  ["Delete", "take the block away"], ["V", "the performance that it follows, beside it; again: its picture"], ["B", "the take before, and back"],
  ["F, T", "front, three-quarter"], ["Up, Down", "the line before, the next"], ["/", "search"], ["D", "choose a file as a take"],
  ["A", "keep and approve"], ["Ctrl+Z, Ctrl+Shift+Z", "undo, redo"], ["Ctrl+S", "keep in the manifest"], ["Ctrl+Shift+S", "keep all lines that were changed"],
];

export function pressed(event) {
  const typing = event.target.matches("input:not([type=checkbox], [type=range]), textarea, select");
  const sliding = event.target.matches("[type=range]");
  const held = event.ctrlKey || event.metaKey;
  const { key } = event;
  if (held && key.toLowerCase() === "s") (event.shiftKey ? keepAll : keep)();
  else if (held && key.toLowerCase() === "z" && !typing) travel(...(event.shiftKey ? ["redo", "undo"] : ["undo", "redo"]));
  else if (key === "Escape" && (typing || sliding)) event.target.blur();
  else if (held || typing || $("keys").open) return;
  else if (key === " ") trying(() => page.player.toggle());
  else if (key === "ArrowLeft" || key === "ArrowRight") {
    if (sliding) return;
    const by = (key === "ArrowLeft" ? -1 : 1) * (event.shiftKey ? 10 : 1);
    if (event.altKey) shift(by);
    else page.player.step(by);
  } else if (event.altKey) return;
  else if (key === "ArrowUp" || key === "ArrowDown") {
    if (sliding) return;
    open(page.list.beside(key === "ArrowUp" ? -1 : 1));
  } else {
    const does = {
      Home: () => page.player.seek(0), Delete: remove, Backspace: remove, Escape: free, "[": () => faster(-1), "]": () => faster(1),
      l: () => loop(!page.player.loop), i: () => edge(0), o: () => edge(1), r: retake, c: choose, b: compare, d: () => $("file").click(),
      s: () => add("segments"), g: () => add("gestures"), p: () => add("pins"), ",": () => beside(-1), ".": () => beside(1),
      n: () => document.querySelector('#controls [data-key="seed"] button:not(.reset):not(:disabled)')?.click(),
      "/": () => find(), f: () => page.head?.look("front"), t: () => page.head?.look("quarter"), v: () => page.reference.next(),
      a: () => $("approved").click(), "?": () => $("keys").showModal(),
    }[key.length === 1 ? key.toLowerCase() : key];
    if (!does) return;
    does();
  }
  event.preventDefault();
}

function find() {
  side("lines");
  $("search").focus();
}

// The range begins or ends where the sound is.
function edge(which) {
  const { player } = page;
  const range = [...(player.range ?? [0, player.end])];
  range[which] = player.time;
  if (range[0] >= range[1]) range[1 - which] = which ? 0 : player.end;
  player.range = range;
  player.loop = true;
  page.timeline.place();
  draw(player.time, player.playing);
}

export function faster(by) {
  const box = $("speed");
  box.selectedIndex = Math.min(box.options.length - 1, Math.max(0, box.selectedIndex + by));
  page.player.speed(+box.value);
}

export function loop(on) {
  page.player.loop = on;
  draw(page.player.time, page.player.playing);
}

function free() {
  page.player.range = null;
  say("");
  page.timeline.place();
  draw(page.player.time, page.player.playing);
}

// On a narrow page, the list or the controls.
export function side(to) {
  document.body.dataset.side = to;
  for (const button of $("sides").children) button.classList.toggle("on", button.dataset.to === to);
}
