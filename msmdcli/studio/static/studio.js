// The page: which line is shown, what was changed of it, and the keys.

import { bytes, counted, decoded, get, motionOf, post } from "./api.js";
import { Lane } from "./blocks.js";
import { Head } from "./head.js";
import { List } from "./list.js";
import { Pins } from "./pins.js";
import { Player } from "./player.js";
import { Refine } from "./refine.js";
import { Timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);
const KEYS = [
  ["Space", "play, pause"], ["Left, Right", "one frame back, on"], ["Shift + Left, Right", "ten frames"],
  ["Home", "to the start"], ["[ ]", "slower, faster"], ["L", "loop"], ["R", "the range anew: another take of it"], ["Delete", "take the chosen segment or gesture away"], ["Esc", "no range"],
  ["Up, Down", "the line before, the next"], ["/", "search"], ["F, T", "front, three-quarter"],
  ["A", "approve"], ["B", "the take before, and back"], ["N", "another take: another seed"],
  ["Ctrl+Z, Ctrl+Shift+Z", "undo, redo"], ["Ctrl+S", "keep in the manifest"],
];

const page = {
  about: null, lines: new Map(), current: "", line: null,
  now: null, before: null, base: null, comparing: false, // takes: what the server gave, with its motion
  changes: new Map(), // id -> {keys, undo, redo}
  latencies: [], counted, making: () => making, lists: null,
};
window.studio = page; // for tests, and the curious
let head, list, player, timeline, refine;

// ---- sentences ------------------------------------------------------------------------------------------------------

let fading;
function say(text, good = false) {
  clearTimeout(fading);
  $("message").hidden = !text;
  $("message").classList.toggle("good", good);
  $("message").firstElementChild.textContent = text;
  if (good) fading = setTimeout(() => say(""), 3000);
}

async function trying(work) {
  try {
    return await work();
  } catch (error) {
    say(error.message);
    if (error.name !== "Error") console.error(error);
    return null;
  }
}

// ---- one line -------------------------------------------------------------------------------------------------------

const change = (id = page.current) => {
  if (!page.changes.has(id)) page.changes.set(id, { keys: {}, undo: [], redo: [] });
  return page.changes.get(id);
};

async function open(id) {
  if (!id) return;
  page.current = id;
  list.choose(id);
  player.sound.pause();
  const opened = Symbol("opened");
  page.opened = opened;
  page.line = page.now = page.before = page.base = null;
  page.comparing = page.holding = false;
  lists.selected = null;
  const line = page.lines.get(id);
  $("name").textContent = id;
  $("words").textContent = line.text || "";
  $("said").textContent = line.text || "";
  $("approved").checked = line.approved;
  $("note").value = line.note;
  const view = await trying(() => post("make", { id, keys: {} }));
  if (page.opened !== opened) return;
  if (!view) {
    show();
    return;
  }
  page.line = { own: view.own, inherited: view.inherited, fixed: view.fixed };
  await wear(view.head, id);
  if (page.opened !== opened) return;
  page.now = taken(view);
  player.open(`api/sound?id=${encodeURIComponent(id)}`, view.curves.fps, view.curves.frames);
  $("fixed").hidden = !view.fixed;
  $("fixed").textContent = view.fixed;
  controls();
  block();
  show();
  if (Object.keys(change().keys).length) remake();
}

let worn = "";
async function wear(name, id) {
  if (worn === name || !head) return;
  const pack = await trying(() => bytes(`head?id=${encodeURIComponent(id)}`));
  if (pack) {
    head.open(pack);
    worn = name;
  }
}

function taken(view) {
  const motion = motionOf(view.curves);
  return { view, motion, drawn: motionOf(view.drawn) ?? motion, peaks: decoded(view.peaks) };
}

function controls() {
  if (!page.line) return void $("controls").replaceChildren();
  const { keys } = change();
  refine.show({ ...page.line.own, ...keys }, page.line.inherited, page.line.fixed);
}

// ---- changes: made anew in the background, the last one wins ------------------------------------------------------------

let making = false;
let waiting = null;
async function remake() {
  const asked = { id: page.current, keys: { ...change().keys }, at: performance.now() };
  if (making) return void (waiting = asked);
  making = true;
  for (let next = asked; next; next = waiting) {
    waiting = null;
    const view = await trying(() => post("make", { id: next.id, keys: next.keys }));
    if (view && next.id === page.current) {
      swap(taken(view));
      page.latencies.push(performance.now() - next.at);
    }
    if (waiting === null) break;
  }
  making = false;
}

function swap(take) {
  say("");
  page.before = page.base;
  page.now = take;
  page.comparing = false;
  player.set(take.motion.fps, take.motion.frames);
  show();
}

function set(key, value, commit) {
  setAll({ [key]: value }, commit);
}

// Change some keys; all of it until a commit is one step of undo.
function setAll(values, commit = true) {
  const mine = change();
  if (!page.holding) {
    mine.undo.push({ ...mine.keys });
    mine.redo = [];
    page.base = page.now; // what the take before is, however often a slider is heard of
  }
  page.holding = !commit;
  for (const [key, value] of Object.entries(values)) {
    const own = page.line.own[key];
    if (JSON.stringify(value) === JSON.stringify(own ?? null)) delete mine.keys[key];
    else mine.keys[key] = value;
  }
  if (commit) controls();
  buttons();
  remake();
}

function travel(from, to) {
  const mine = change();
  if (!mine[from].length) return;
  mine[to].push({ ...mine.keys });
  mine.keys = mine[from].pop();
  page.base = page.now;
  controls();
  block();
  buttons();
  remake();
}

async function keep() {
  const { id, keys } = { id: page.current, keys: { ...change().keys } };
  if (!Object.keys(keys).length) return;
  const kept = await trying(() => post("keep", { id, keys }));
  if (!kept) return;
  if (id === page.current) {
    const mine = change();
    for (const name of ["undo", "redo"]) mine[name] = mine[name].map((before) => rebased(before, keys, page.line.own, kept.own));
    mine.keys = rebased(mine.keys, keys, page.line.own, kept.own); // what was changed while it was written
    page.line.own = kept.own;
  } else page.changes.delete(id);
  await refresh();
  controls();
  buttons();
  say(`${id} is written into the manifest; msmd batch makes it.`, true);
}

// What a step of undo says once some keys are the line's own: those that it did not change are as they were before.
function rebased(step, kept, before, after) {
  const found = { ...step };
  for (const key of Object.keys(kept)) if (!(key in found)) found[key] = before[key] ?? null;
  for (const key of Object.keys(found)) if (JSON.stringify(found[key]) === JSON.stringify(after[key] ?? null)) delete found[key];
  return found;
}

async function mark() {
  const line = page.lines.get(page.current);
  const given = { id: page.current, approved: $("approved").checked, note: $("note").value };
  if (!(await trying(() => post("mark", given)))) return void ($("approved").checked = line.approved);
  Object.assign(line, { approved: given.approved, note: given.note.trim() });
  list.redraw();
  count();
}

// ---- lists: segments, gestures, pins ----------------------------------------------------------------------------------------

const lists = {
  selected: null,
  fixed: () => !page.line || Boolean(page.line.fixed),
  list(name) {
    const { keys } = change();
    return (name in keys ? keys[name] : page.line?.own[name]) ?? page.line?.inherited[name] ?? [];
  },
  // An empty list takes that of the character or the manifest away; where there is none, the line says nothing.
  said: (name, list) => (list.length || page.line.inherited[name]?.length ? list : null),
  live: (name, list) => lists.fixed() || set(name, lists.said(name, list), false),
  commit(name, list) {
    if (lists.fixed()) return;
    set(name, lists.said(name, list), true);
    block();
  },
  select(what) {
    lists.selected = what;
    timeline.draw();
    block();
  },
  fresh(name, time) {
    const style = page.about.tags.find((tag) => tag !== page.now?.view.style) ?? "neutral";
    return name === "segments" ? { start: time, style } : { name: page.about.gestures.includes("nod") ? "nod" : page.about.gestures[0], at: time };
  },
};

// The controls of the block that is selected.
function block() {
  const { selected } = lists;
  const item = selected && lists.list(selected.name)[selected.index];
  $("block").hidden = !item;
  if (!item) return void (lists.selected = null);
  $("block").querySelector("h3").textContent = selected.name.slice(0, -1);
  const keys = structuredClone(page.about.blocks[selected.name]);
  if (selected.name === "gestures") keys.name = { ...keys.name, anyOf: [{ enum: page.about.gestures }] };
  const told = (commit) => (key, value) => {
    const items = structuredClone(lists.list(selected.name));
    if (value === null) delete items[selected.index][key];
    else items[selected.index][key] = value;
    (commit ? lists.commit : lists.live)(selected.name, items);
  };
  const part = new Refine($("block").querySelector("div"), { ...page.about, keys, first: ["name", "style", "at", "start"] }, { onInput: told(false), onCommit: told(true) });
  part.show(item, {}, page.line?.fixed);
}

function remove() {
  const { selected } = lists;
  if (!selected) return;
  lists.selected = null;
  lists.commit(selected.name, lists.list(selected.name).filter((_, index) => index !== selected.index));
}

async function retake() {
  const { range } = player;
  if (!range || lists.fixed()) return;
  const asked = { id: page.current, keys: { ...change().keys }, start: range[0], end: range[1] };
  const found = await trying(() => post("retake", asked));
  if (found && asked.id === page.current) setAll(found.keys);
}

// ---- what is shown ----------------------------------------------------------------------------------------------------

function show() {
  const take = page.comparing ? page.before : page.now;
  const other = page.comparing ? page.now : page.before;
  if (take) {
    timeline.sound = take.view.seconds;
    timeline.show(take.motion, other?.motion ?? null, take.peaks, take.view.seconds);
    const { view } = take;
    $("facts").replaceChildren(view.style, view.controls ? ` · ${view.controls}` : "", ` · seed ${view.seed}`);
    for (const text of [...view.concerns, ...view.warnings]) {
      const warning = document.createElement("b");
      warning.textContent = text;
      $("facts").append(document.createElement("br"), warning);
    }
    $("made").textContent = page.comparing ? "the take before" : `made in ${view.made_in.toFixed(2)} s`;
  } else {
    timeline.show(null, null, [], 0);
    $("facts").textContent = $("made").textContent = "";
    $("controls").replaceChildren();
  }
  buttons();
  draw(player.time, false);
}

function draw(time, playing) {
  const take = page.comparing ? page.before : page.now;
  $("play").textContent = playing ? "Pause" : "Play";
  if (!take) return;
  const frame = playing ? time * player.fps : player.frame;
  head?.pose(take.drawn, frame);
  timeline.place(time);
  $("time").textContent = `${time.toFixed(2)} s · frame ${player.frame} of ${player.frames}`;
  $("loop").checked = player.loop;
  $("retake").disabled = !player.range || lists.fixed();
}

function buttons() {
  const { keys, undo, redo } = change();
  $("undo").disabled = !undo.length;
  $("redo").disabled = !redo.length;
  $("keep").disabled = !Object.keys(keys).length || !page.now;
  $("compare").disabled = !page.before;
  $("compare").classList.toggle("on", page.comparing);
}

function compare() {
  if (!page.before) return;
  page.comparing = !page.comparing;
  const take = page.comparing ? page.before : page.now;
  player.set(take.motion.fps, take.motion.frames);
  show();
}

// ---- the list -----------------------------------------------------------------------------------------------------------

const FILTERS = [
  ["status", "any status", (line) => [line.status]],
  ["concern", "any concern", (line) => line.concerns.map((text) => text.replace(/[\d.]+/g, "").split(/[:(]/)[0].trim())],
  ["character", "any character", (line) => (line.character ? [line.character] : [])],
  ["style", "any style", (line) => [line.style]],
  ["language", "any language", (line) => (line.language ? [line.language] : [])],
  ["approved", "any approval", (line) => [line.approved ? "approved" : "not approved"]],
];

function filters() {
  const boxes = [];
  for (const [name, all, values] of FILTERS) {
    const found = new Set([...page.lines.values()].flatMap(values));
    if (name === "approved") found.add("approved").add("not approved");
    if (found.size < 2 && name !== "concern") continue;
    if (!found.size) continue;
    const before = document.querySelector(`#filters select[name=${name}]`)?.value;
    const box = document.createElement("select");
    box.name = name;
    box.setAttribute("aria-label", name);
    box.append(new Option(all, ""), ...[...found].sort().slice(0, 500).map((value) => new Option(value, value)));
    if (before && found.has(before)) box.value = before;
    box.addEventListener("change", filter);
    boxes.push(box);
  }
  $("filters").replaceChildren(...boxes);
}

function filter() {
  const asked = [...document.querySelectorAll("#filters select")]
    .filter((box) => box.value)
    .map((box) => [FILTERS.find(([name]) => name === box.name)[2], box.value]);
  list.filter($("search").value, (line) => asked.every(([values, value]) => values(line).includes(value)));
  count();
}

function count() {
  const approved = [...page.lines.values()].filter((line) => line.approved).length;
  $("count").textContent = `${list.shown.length} of ${page.lines.size} lines · ${approved} approved`;
}

async function refresh() {
  const { columns, rows, stamp } = await get("lines");
  page.stamp = JSON.stringify(stamp); // of the manifest that these lines are from
  const lines = rows.map((row) => Object.fromEntries(columns.map((name, k) => [name, row[k]])));
  page.lines = new Map(lines.map((line) => [line.id, line]));
  list.fill(lines);
  filters();
  filter();
  list.choose(page.current);
}

async function watch() {
  try {
    const now = await get("now");
    counted.requests -= 1;
    $("busy").hidden = !now.busy;
    if (page.stamp === JSON.stringify(now.stamp)) return;
    page.stamp = JSON.stringify(now.stamp); // a manifest that is wrong is told of once
    if (await trying(() => refresh().then(() => true))) await open(page.lines.has(page.current) ? page.current : list.shown[0]?.id);
  } catch (error) {
    say(error.message);
  }
}

// ---- keys -----------------------------------------------------------------------------------------------------------------

function pressed(event) {
  const typing = event.target.matches("input:not([type=checkbox], [type=range]), textarea, select");
  const held = event.ctrlKey || event.metaKey;
  if (held && event.key.toLowerCase() === "s") keep();
  else if (held && event.key.toLowerCase() === "z" && !typing) travel(...(event.shiftKey ? ["redo", "undo"] : ["undo", "redo"]));
  else if (event.key === "Escape" && typing) event.target.blur();
  else if (held || typing || event.altKey || $("keys").open) return;
  else if (event.key === " ") trying(() => player.toggle());
  else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    if (event.target.matches("[type=range]")) return;
    player.step((event.key === "ArrowLeft" ? -1 : 1) * (event.shiftKey ? 10 : 1));
  } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
    if (event.target.matches("[type=range]")) return;
    open(list.beside(event.key === "ArrowUp" ? -1 : 1));
  } else {
    const does = {
      Home: () => player.seek(0), Delete: remove, Backspace: remove, r: retake, "[": () => faster(-1), "]": () => faster(1), l: () => loop(!player.loop), Escape: () => free(),
      "/": () => $("search").focus(), f: () => head?.look("front"), t: () => head?.look("quarter"), b: compare,
      a: () => $("approved").click(), n: () => document.querySelector('[data-key="seed"] button:not(.reset):not(:disabled)')?.click(), "?": () => $("keys").showModal(),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!does) return;
    does();
  }
  event.preventDefault();
}

function faster(by) {
  const box = $("speed");
  box.selectedIndex = Math.min(box.options.length - 1, Math.max(0, box.selectedIndex + by));
  player.speed(+box.value);
}

function loop(on) {
  player.loop = on;
  draw(player.time, player.playing);
}

function free() {
  player.range = null;
  say("");
  timeline.place();
  draw(player.time, player.playing);
}

// ---- start ------------------------------------------------------------------------------------------------------------------

async function start() {
  page.lists = lists;
  player = page.player = new Player($("sound"), draw);
  timeline = page.timeline = new Timeline(
    { box: $("timeline"), wave: $("wave"), sheet: $("sheet"), curves: $("curves"), range: $("range"), head: $("head"), hover: $("hover") },
    player,
  );
  timeline.lanes = [new Lane("segments", lists), new Lane("gestures", lists)];
  timeline.pins = new Pins(lists);
  timeline.onRange = () => draw(player.time, player.playing);
  try {
    head = page.head = new Head($("view"));
  } catch (error) {
    $("view").textContent = "This browser draws no heads (no WebGL); sound and curves work.";
    console.warn(error);
  }
  list = page.list = new List($("list"), $("rows"), open);
  $("sound").addEventListener("error", () => page.current && say("This recording cannot be played by the browser."));
  $("play").addEventListener("click", () => trying(() => player.toggle()));
  $("back").addEventListener("click", () => player.step(-1));
  $("on").addEventListener("click", () => player.step(1));
  $("loop").addEventListener("change", () => loop($("loop").checked));
  $("speed").addEventListener("change", () => player.speed(+$("speed").value));
  $("retake").addEventListener("click", retake);
  $("block").querySelector("button").addEventListener("click", remove);
  $("compare").addEventListener("click", compare);
  $("undo").addEventListener("click", () => travel("undo", "redo"));
  $("redo").addEventListener("click", () => travel("redo", "undo"));
  $("keep").addEventListener("click", keep);
  $("approved").addEventListener("change", mark);
  $("note").addEventListener("change", mark);
  $("search").addEventListener("input", filter);
  $("help").addEventListener("click", () => $("keys").showModal());
  $("message").lastElementChild.addEventListener("click", () => say(""));
  for (const button of $("views").children) button.addEventListener("click", () => head?.look(button.dataset.view));
  for (const button of $("sides").children) button.addEventListener("click", () => side(button.dataset.to));
  for (const [key, does] of KEYS) {
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = key;
    dd.textContent = does;
    $("keys").querySelector("dl").append(dt, dd);
  }
  document.addEventListener("keydown", pressed);
  addEventListener("beforeunload", (event) => {
    if ([...page.changes.values()].some(({ keys }) => Object.keys(keys).length)) event.preventDefault();
  });
  side("lines");
  page.about = await get("project");
  document.title = `${page.about.title} - MSMD studio`;
  $("title").textContent = page.about.title;
  $("about").textContent = `${page.about.bundle}, ${page.about.sampling} · OUT: ${page.about.out}`;
  $("about").title = page.about.manifest;
  refine = new Refine($("controls"), page.about, { onInput: (key, value) => set(key, value, false), onCommit: (key, value) => set(key, value, true) });
  await refresh();
  await open(list.shown[0]?.id);
  document.body.dataset.ready = "";
  setInterval(watch, 3000);
}

function side(to) {
  document.body.dataset.side = to;
  for (const button of $("sides").children) button.classList.toggle("on", button.dataset.to === to);
}

trying(start);
