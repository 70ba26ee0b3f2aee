// The page from its start: the parts are made, and the mouse is listened to.

import { available, counted, get } from "./api.js";
import { Lane } from "./blocks.js";
import { listen } from "./dropping.js";
import { free, lists, remove } from "./editing.js";
import { filter, refresh, showAll, watch } from "./finding.js";
import { KEYS, loop, pressed, side } from "./keys.js";
import { choose, compare, draw, keep, keepAll, mark, open, retake, set, travel, usualHead } from "./line.js";
import { List } from "./list.js";
import { $, change, changed, page, say, trying, unkept } from "./page.js";
import { Pins } from "./pins.js";
import { Player } from "./player.js";
import { Reference } from "./reference.js";
import { Refine } from "./refine.js";
import { Timeline } from "./timeline.js";

const WATCH = 3000; // milliseconds between looks at what has changed on disk

function parts() {
  page.counted = counted;
  page.lists = lists;
  page.player = new Player($("sound"), draw);
  page.timeline = new Timeline(
    { box: $("timeline"), wave: $("wave"), sheet: $("sheet"), curves: $("curves"), range: $("range"), head: $("head"), hover: $("hover") },
    page.player,
  );
  page.timeline.lanes = ["segments", "gestures", "pins"].map((name) => new Lane(name, lists));
  page.timeline.pins = new Pins(lists);
  page.timeline.onRange = () => draw(page.player.time, page.player.playing);
  page.reference = new Reference();
  page.list = new List($("list"), $("rows"), open);
  page.list.changed = ({ id }) => unkept(id);
  page.list.onNone = showAll;
}

// What draws heads is large, so the list comes before it.
async function headed() {
  const { Head } = await import("./head.js");
  try {
    page.head = new Head($("view"), () => page.busy());
  } catch (error) {
    $("view").textContent = "This browser draws no heads (no WebGL); sound and curves work.";
    console.warn(error);
  }
}

// Why a recording is not played: what the studio says of it, else what the browser makes of it.
async function unplayed() {
  const id = page.current;
  if (!id) return;
  const there = await trying(() => available(`sound?id=${encodeURIComponent(id)}`));
  if (there && id === page.current && $("sound").error) say("This recording cannot be played by the browser.");
}

function mouse() {
  const clicks = {
    play: () => trying(() => page.player.toggle()), back: () => page.player.step(-1), on: () => page.player.step(1), retake, compare, keep, keepall: keepAll, choose,
    undo: () => travel("undo", "redo"), redo: () => travel("redo", "undo"), help: () => $("keys").showModal(), beside: () => page.reference.next(),
    open: () => $("file").click(), remove, free,
  };
  for (const [id, does] of Object.entries(clicks)) $(id).addEventListener("click", does);
  $("sound").addEventListener("error", unplayed);
  $("loop").addEventListener("change", () => loop($("loop").checked));
  $("speed").addEventListener("change", () => page.player.speed(+$("speed").value));
  $("approved").addEventListener("change", mark);
  $("note").addEventListener("change", mark);
  $("search").addEventListener("input", filter);
  $("message").lastElementChild.addEventListener("click", () => say(""));
  for (const button of document.querySelectorAll("#views [data-view]")) button.addEventListener("click", () => page.head?.look(button.dataset.view));
  for (const button of $("sides").children) button.addEventListener("click", () => side(button.dataset.to));
  for (const [key, does] of KEYS) {
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = key;
    dd.textContent = does;
    $("keys").querySelector("dl").append(dt, dd);
  }
  document.addEventListener("keydown", pressed);
  listen();
  addEventListener("beforeunload", (event) => {
    if (changed().length) event.preventDefault();
  });
}

async function start() {
  parts();
  mouse();
  side("lines");
  const lines = get("lines"); // the manifest may take a while to be read
  lines.catch(() => {}); // said below
  page.about = await get("project");
  document.title = `${page.about.title} - MSMD studio`;
  $("title").textContent = page.about.title;
  $("about").textContent = `${page.about.bundle}, ${page.about.sampling} · OUT: ${page.about.out}`;
  $("about").title = page.about.manifest;
  $("count").textContent = `reading ${page.about.title} ...`;
  const told = (commit) => (key, value) => set(key, value, commit);
  page.refine = new Refine($("controls"), page.about, { onInput: told(false), onCommit: told(true) });
  const read = await trying(() => refresh(lines).then(() => true));
  if (!read) $("count").textContent = "no lines: correct the manifest, and they appear here";
  await new Promise((seen) => requestAnimationFrame(() => setTimeout(seen)));
  page.listed = performance.timeOrigin + performance.now();
  document.body.dataset.listed = "";
  usualHead().catch(() => {}); // while the first line is made
  await headed();
  if (read) await open(page.list.shown[0]?.id);
  document.body.dataset.ready = "";
  setInterval(watch, WATCH);
}

page.change = change;
trying(start);
