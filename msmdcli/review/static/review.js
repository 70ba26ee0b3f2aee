// The review page: which line is shown, what is said of it, and the keys. Head, player, curves and list are the studio's.

import { Head } from "./head.js";
import { List } from "./list.js";
import { Marks } from "./marks.js";
import { Player } from "./player.js";
import { Refine } from "./refine.js";
import { headOf, takesOf } from "./takes.js";
import { Timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);
const data = (id) => JSON.parse($(id).textContent);
const KEYS = [
  ["Space", "play, pause"], ["Left, Right", "one frame back, on"], ["Shift + Left, Right", "ten frames"], ["Home", "to the start"],
  ["[ ]", "slower, faster"], ["L", "loop"], ["Esc", "no range"], ["Up, Down or K, J", "the line before, the next"], ["/", "search"],
  ["F, T", "front, three-quarter"], ["B", "the take before, or another take"], ["A", "approve"], ["R", "to be made again"],
  ["N", "another take: another seed"], ["U", "no mark"], ["Ctrl+S", "save the marks as a file"],
];

const about = data("about-data");
const lines = data("lines-data");
const byId = new Map(lines.map((line) => [line.id, line]));
const marks = new Marks(about, lines);
const page = { about, lines, marks, current: null, now: null, before: null, comparing: false, list: null, player: null, head: null, timeline: null, text: () => marks.text() };
window.review = page; // for tests, and the curious
let list, player, timeline, head, refine;

let fading;
function say(text, good = false) {
  clearTimeout(fading);
  $("message").hidden = !text;
  $("message").classList.toggle("good", good);
  $("message").firstElementChild.textContent = text;
  if (good) fading = setTimeout(() => say(""), 6000);
}

// ---- one line -------------------------------------------------------------------------------------------------------

async function open(id, time = 0, playing = false) {
  const line = byId.get(id);
  if (!line) return;
  page.current = line;
  list.choose(id);
  player.sound.pause();
  page.now = page.before = null;
  page.comparing = false;
  $("name").textContent = id;
  $("words").textContent = $("said").textContent = line.text ?? "";
  told();
  show();
  marked();
  try {
    const found = await takesOf(line);
    if (page.current !== line) return;
    if (found.now && head && line.head !== undefined && line.head !== null) {
      const pack = await headOf(line.head);
      if (page.current !== line) return;
      if (page.worn !== line.head) head.open(pack);
      page.worn = line.head;
    }
    page.now = found.now;
    page.before = found.before;
    const { fps, frames } = found.now?.motion ?? { fps: 25, frames: Math.round(25 * (line.seconds ?? 0)) };
    if (found.address) player.open(found.address, fps, frames);
    else player.set(fps, frames);
    show();
    if (time) player.sound.addEventListener("loadedmetadata", () => player.seek(time), { once: true });
    if (playing) await player.toggle();
  } catch (error) {
    say(error.message);
  }
}

// Other takes of the same line, in the list's order.
const siblings = (line) => (line?.take_of ? lines.filter((one) => one.take_of === line.take_of) : []);

function compare() {
  if (page.before) {
    page.comparing = !page.comparing;
    const take = page.comparing ? page.before : page.now;
    player.set(take.motion.fps, take.motion.frames);
    show();
    return;
  }
  const takes = siblings(page.current).sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
  if (takes.length > 1) open(takes[(takes.indexOf(page.current) + 1) % takes.length].id, player.time, player.playing);
}

function show() {
  const line = page.current;
  const take = page.comparing ? page.before : page.now;
  const other = page.comparing ? page.now : page.before;
  if (take) {
    timeline.sound = take.view.seconds;
    timeline.show(take.motion, other?.motion ?? null, take.peaks, take.view.seconds);
  } else timeline.show(null, null, [], 0);
  $("facts").replaceChildren(...(line ? [page.comparing ? "the take before" : [line.style, line.controls, `seed ${line.seed ?? 0}`].filter(Boolean).join(" · ")] : []));
  for (const text of line && !page.comparing ? [line.error, ...(line.concerns ?? []), ...(line.warnings ?? [])].filter(Boolean) : []) {
    const warning = document.createElement("b");
    warning.textContent = text;
    $("facts").append(document.createElement("br"), warning);
  }
  const takes = siblings(line).length;
  $("compare").disabled = !page.before && takes < 2;
  $("compare").textContent = !page.before && takes > 1 ? "Other take" : "Before";
  $("compare").classList.toggle("on", page.comparing);
  $("made").textContent = page.comparing ? "the take before" : "";
  draw(player.time, player.playing);
}

function draw(time, playing) {
  const take = page.comparing ? page.before : page.now;
  $("play").textContent = playing ? "Pause" : "Play";
  $("loop").checked = player.loop;
  const shown = Boolean(take) && page.current.head !== undefined && page.current.head !== null;
  $("view").style.visibility = shown ? "" : "hidden";
  if (!take) return void ($("time").textContent = `${time.toFixed(2)} s`);
  if (shown) head?.pose(take.motion, playing ? time * player.fps : player.frame);
  if (shown && playing) head?.draw?.(); // at once, or the picture would be a frame late
  timeline.place(time);
  $("time").textContent = `${time.toFixed(2)} s · frame ${player.frame} of ${player.frames}`;
}

// What is known of a line, below its marks.
function told() {
  const line = page.current;
  const box = $("about-line");
  box.replaceChildren();
  const fact = (name, text, kind = "") => {
    if (!text) return;
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    dt.textContent = name;
    dd.textContent = text;
    dd.className = kind;
    box.append(dt, dd);
  };
  fact("status", line.status, line.status === "failed" ? "bad" : "");
  fact("error", line.error, "bad");
  fact("what to do", line.hint);
  fact("cannot be shown", line.unreadable, "bad");
  fact("concerns", (line.concerns ?? []).join("; "), "warn");
  fact("warnings", (line.warnings ?? []).join("; "), "warn");
  for (const name of ["style", "controls", "character", "language"]) fact(name, line[name]);
  fact("seed", String(line.seed ?? 0));
  for (const [name, value] of Object.entries(line.health ?? {})) {
    const limit = about.limits[name];
    if (typeof value !== "number" || name === "seconds") continue;
    fact(name.replaceAll("_", " "), `${value}${limit ? ` (limit ${limit})` : ""}`, limit && value > limit ? "warn" : "");
  }
  fact("files", (line.outputs ?? []).join(", "));
}

// ---- marks ------------------------------------------------------------------------------------------------------------

function mark(change) {
  if (!page.current) return;
  marks.set(page.current, change);
  marked();
  list.redraw();
  count();
}

const approve = () => mark({ approved: !marks.of(page.current).approved, redo: false });
function redo(keys = { seed: Marks.next(page.current) }) {
  const before = marks.of(page.current);
  mark(before.redo ? { redo: false } : { redo: true, approved: false, keys: Object.keys(before.keys).length ? before.keys : keys });
}

function another() {
  const { redo: marked, keys } = marks.of(page.current);
  const seed = marked && Number.isSafeInteger(keys.seed + 1) ? keys.seed + 1 : Marks.next(page.current);
  mark({ redo: true, approved: false, keys: { ...keys, seed } });
}

function choose(key, value) {
  const keys = { ...marks.of(page.current).keys };
  if (value === null) delete keys[key];
  else keys[key] = value;
  mark({ keys });
}

function marked() {
  const line = page.current;
  const { approved, redo: again, keys, note } = marks.of(line);
  $("approve").classList.toggle("on", approved);
  $("approve").textContent = approved ? "Approved" : "Approve";
  $("redo").classList.toggle("on", again);
  if ($("note") !== document.activeElement) $("note").value = note;
  $("stale").hidden = !line.stale || approved || again;
  $("stale").textContent = "Another take of this line was approved; this one is new.";
  $("again").hidden = !again;
  if (again) refine.show(keys, line.now ?? {}, "");
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([marks.text()], { type: "text/yaml" }));
  link.download = `${about.title}-review.yaml`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  say(`${link.download} is saved: send it to whoever runs msmd.`, true);
}

// ---- the list -----------------------------------------------------------------------------------------------------------

class MarkedList extends List {
  row(place) {
    const line = this.shown[place];
    const { approved, redo: again } = marks.of(line);
    line.approvedShown = approved;
    const row = super.row(place);
    const part = row.querySelector(".mark");
    if (again) [part.className, part.textContent] = ["mark redo", "redo"];
    else if (approved) [part.className, part.textContent] = ["mark good", "approved"];
    else if (line.approved) [part.className, part.textContent] = ["mark quiet", ""];
    return row;
  }
}

const markOf = (line) => {
  const { approved, redo: again, note } = marks.of(line);
  return [...(approved ? ["approved"] : again ? ["to redo"] : ["not marked"]), ...(note.trim() ? ["noted"] : []), ...(line.redone ? ["redone"] : [])];
};
const FILTERS = [
  ["status", "any status", (line) => [line.status]],
  ["concern", "any concern", (line) => (line.concerns ?? []).map((text) => text.replace(/[\d.]+/g, "").split(/[:(]/)[0].trim())],
  ["character", "any character", (line) => (line.character ? [line.character] : [])],
  ["style", "any style", (line) => [line.style ?? ""]],
  ["language", "any language", (line) => (line.language ? [line.language] : [])],
  ["mark", "any mark", markOf],
];

function filters() {
  for (const [name, all, values] of FILTERS) {
    const found = name === "mark" ? ["approved", "to redo", "not marked", "noted", ...(lines.some((line) => line.redone) ? ["redone"] : [])] : [...new Set(lines.flatMap(values))].sort().slice(0, 500);
    if (found.length < 2 && name !== "concern") continue;
    if (!found.length) continue;
    const box = document.createElement("select");
    box.name = name;
    box.setAttribute("aria-label", name);
    box.append(new Option(all, ""), ...found.map((value) => new Option(value, value)));
    box.addEventListener("change", filter);
    $("filters").append(box);
  }
}

function filter() {
  const asked = [...document.querySelectorAll("#filters select")]
    .filter((box) => box.value)
    .map((box) => [FILTERS.find(([name]) => name === box.name)[2], box.value]);
  list.filter($("search").value, (line) => asked.every(([values, value]) => values(line).includes(value)));
  count();
}

function count() {
  const approved = marks.count((one) => one.approved);
  const again = marks.count((one) => one.redo);
  $("count").textContent = `${list.shown.length} of ${lines.length} lines · ${approved} approved`;
  $("marked").textContent = `${approved} approved, ${again} to redo`;
  $("download").disabled = !marks.changed.length;
}

// ---- keys -----------------------------------------------------------------------------------------------------------------

function pressed(event) {
  const typing = event.target.matches("input:not([type=checkbox], [type=range]), textarea, select");
  const held = event.ctrlKey || event.metaKey;
  if (held && event.key.toLowerCase() === "s") save();
  else if (event.key === "Escape" && typing) event.target.blur();
  else if (held || typing || event.altKey || $("keys").open) return;
  else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    if (event.target.matches("[type=range]")) return;
    player.step((event.key === "ArrowLeft" ? -1 : 1) * (event.shiftKey ? 10 : 1));
  } else {
    if (event.target.matches("[type=range]") && event.key.startsWith("Arrow")) return;
    const step = (by) => () => open(list.beside(by));
    const does = {
      " ": () => player.toggle().catch((error) => say(error.message)), Home: () => player.seek(0), ArrowUp: step(-1), ArrowDown: step(1), k: step(-1), j: step(1),
      "[": () => faster(-1), "]": () => faster(1), l: () => loop(!player.loop), Escape: free, "/": () => $("search").focus(),
      f: () => head?.look("front"), t: () => head?.look("quarter"), b: compare, a: approve, r: () => redo(), n: another,
      u: () => mark({ approved: false, redo: false }), "?": () => $("keys").showModal(),
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

function side(to) {
  document.body.dataset.side = to;
  for (const button of $("sides").children) button.classList.toggle("on", button.dataset.to === to);
}

// ---- start ------------------------------------------------------------------------------------------------------------------

function start() {
  player = page.player = new Player($("sound"), draw);
  const parts = { box: $("timeline"), wave: $("wave"), sheet: $("sheet"), curves: $("curves"), range: $("range"), head: $("head"), hover: $("hover") };
  timeline = page.timeline = new Timeline(parts, player);
  timeline.onRange = () => draw(player.time, player.playing);
  try {
    head = page.head = new Head($("view"));
  } catch (error) {
    $("view").textContent = "This browser draws no heads (no WebGL); sound and curves work.";
    console.warn(error);
  }
  for (const line of lines) Object.assign(line, { concerns: line.concerns ?? [], note: line.note ?? "" });
  list = page.list = new MarkedList($("list"), $("rows"), (id) => open(id));
  list.onNone = () => {
    $("search").value = "";
    for (const box of document.querySelectorAll("#filters select")) box.value = "";
    filter();
  };
  refine = new Refine($("controls"), about.choices, { onInput: () => {}, onCommit: choose });
  $("sound").addEventListener("error", () => page.current?.status !== "failed" && say("This recording cannot be played here: it is not beside the page, or of a kind that the browser does not know."));
  $("play").addEventListener("click", () => player.toggle().catch((error) => say(error.message)));
  $("back").addEventListener("click", () => player.step(-1));
  $("on").addEventListener("click", () => player.step(1));
  $("loop").addEventListener("change", () => loop($("loop").checked));
  $("speed").addEventListener("change", () => player.speed(+$("speed").value));
  $("compare").addEventListener("click", compare);
  $("approve").addEventListener("click", approve);
  $("redo").addEventListener("click", () => redo());
  $("note").addEventListener("input", () => mark({ note: $("note").value }));
  $("download").addEventListener("click", save);
  $("search").addEventListener("input", filter);
  $("help").addEventListener("click", () => $("keys").showModal());
  $("message").lastElementChild.addEventListener("click", () => say(""));
  for (const button of $("views").children) button.addEventListener("click", () => head?.look(button.dataset.view));
  for (const button of $("sides").children) button.addEventListener("click", () => side(button.dataset.to));
  for (const [key, does] of KEYS) {
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    dt.textContent = key;
    dd.textContent = does;
    $("keys").querySelector("dl").append(dt, dd);
  }
  document.addEventListener("keydown", pressed);
  const counts = Object.entries(about.counts).filter(([, n]) => n).map(([name, n]) => `${n} ${name}`).join(", ");
  document.title = `${about.title} - MSMD review`;
  $("title").textContent = about.title;
  $("about").textContent = [counts, about.bundle].filter(Boolean).join(" · ");
  $("about").title = about.manifest;
  side("lines");
  list.fill(lines);
  filters();
  filter();
  open(list.shown[0]?.id);
  document.body.dataset.ready = "";
}

start();
