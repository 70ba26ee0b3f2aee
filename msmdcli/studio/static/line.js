// One line: opened, changed, made anew in the background, compared, kept and approved.

import { bytes, decoded, motionOf, post } from "./api.js";
import { block, controls } from "./editing.js";
import { counts, refresh } from "./finding.js";
import { $, asRedone, change, changed, page, pause, progress, say, shownTake, trying, unkept } from "./page.js";

const AGAIN = 400; // milliseconds between questions for a line that waits for a video
const REDONE = "A redo made this line so. Keep it in the manifest, or the next batch makes it as the manifest says (Undo shows that).";
const REDONE_TAKE =
  "A redo made this take so. A manifest says nothing of one take alone: Keep makes it the line, and the other takes go (Undo shows the manifest's).";

// ---- open -------------------------------------------------------------------------------------------------------------

export async function open(id) {
  if (!id) return;
  page.current = id;
  page.list.choose(id);
  page.player.sound.pause();
  const opened = Symbol("opened");
  page.opened = opened;
  page.line = page.now = page.before = page.base = null;
  page.comparing = page.holding = false;
  page.lists.selected = null;
  page.reference.clear();
  const line = page.lines.get(id);
  $("name").textContent = id;
  $("words").textContent = $("said").textContent = line.text || "";
  $("approved").checked = line.approved;
  $("note").value = line.note;
  for (const name of ["fixed", "take", "redone"]) $(name).hidden = true;
  const here = () => page.opened === opened;
  const view = await trying(() => made(id, {}, here, described));
  if (!here()) return;
  progress();
  if (!view) return show();
  described(view);
  await wear(view.head, id);
  if (!here()) return;
  page.now = taken(view);
  page.player.open(`api/sound?id=${encodeURIComponent(id)}`, view.curves.fps, view.curves.frames);
  show();
  page.reference.refresh();
  if (Object.keys(change().keys).length) remake();
}

// A line as the server makes it. While a video of its style is tracked, the server says how far it is.
async function made(id, keys, wanted, meanwhile) {
  for (;;) {
    const view = await post("make", { id, keys });
    if (!view.waiting || !wanted()) return view.waiting ? null : view;
    meanwhile?.(view);
    progress(view.waiting, view.share);
    await pause(AGAIN);
    if (!wanted()) return null;
  }
}

// What a line says itself and what it gets: enough for its controls.
function described(view) {
  if (page.line) return;
  page.line = { own: view.own, inherited: view.inherited, fixed: view.fixed, dub: view.dub, take: view.take, choosing: view.choosing };
  $("fixed").hidden = !view.fixed;
  $("fixed").textContent = view.fixed;
  $("take").hidden = !view.take || Boolean(view.fixed);
  $("take").firstElementChild.textContent = view.take ? `Take ${view.take} of ${view.written}. A change holds for all its takes.` : "";
  $("choose").disabled = !view.choosing;
  const mine = change();
  if (Object.keys(view.redone).length && !mine.redone) {
    $("redone").textContent = view.take ? REDONE_TAKE : REDONE;
    mine.redone = view.redone; // what OUT holds is shown, as a change that is not kept yet
    if (!mine.undo.length && !Object.keys(mine.keys).length) Object.assign(mine, { keys: { ...view.redone }, undo: [{}] });
  }
  controls();
  block();
}

let worn = "";
async function wear(name, id) {
  if (worn === name || !page.head) return;
  const pack = await trying(() => (name === "usual" ? usualHead() : bytes(`head?id=${encodeURIComponent(id)}`)));
  if (!pack) return;
  page.head.open(pack);
  page.reference.wear(pack);
  worn = name;
}

let usual = null;
export const usualHead = () => (usual ??= bytes("head?id="));

const taken = (view) => {
  const motion = motionOf(view.curves);
  const peaks = page.now?.view.peaks === view.peaks ? page.now.peaks : decoded(view.peaks); // of the same sound
  return { view, motion, drawn: motionOf(view.drawn) ?? motion, peaks };
};

// ---- changes: made anew in the background, the last one wins ---------------------------------------------------------

let making = false;
let waiting = null;
let retaking = false;
page.making = () => making;
page.busy = () => making || retaking; // another picture comes

async function remake(at = performance.now()) {
  const asked = { id: page.current, keys: { ...change().keys }, at };
  if (making) return void (waiting = asked);
  making = true;
  for (let next = asked; next; next = waiting) {
    waiting = null;
    const { id, keys, at } = next;
    const view = await trying(() => made(id, keys, () => waiting === null && id === page.current));
    if (view && id === page.current) swap(taken(view), at);
    if (waiting === null) break;
  }
  progress();
  making = false;
}

function swap(take, at) {
  say("");
  page.before = page.base;
  page.now = take;
  page.comparing = false;
  page.player.set(take.motion.fps, take.motion.frames);
  draw(page.player.time, page.player.playing);
  page.head?.draw(); // the face at once, all else after it
  requestAnimationFrame(() => setTimeout(() => page.latencies.push(performance.now() - at))); // the picture is handed over
  show(true);
  page.reference.refresh();
}

export const set = (key, value, commit) => setAll({ [key]: value }, commit);

// Change some keys; all of it until a commit is one step of undo. `made` does the rest where the take is there already.
export function setAll(values, commit = true, made = remake) {
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
  made(); // asked for first: the controls are drawn while it is made
  if (commit) controls();
  buttons();
}

export function travel(from, to) {
  const mine = change();
  if (!mine[from].length) return;
  mine[to].push({ ...mine.keys });
  mine.keys = mine[from].pop();
  page.base = page.now;
  remake();
  controls();
  block();
  buttons();
}

export function choose() {
  if (page.line?.choosing) setAll(page.line.choosing);
}

export async function retake() {
  const { range } = page.player;
  if (!range || page.lists.fixed()) return;
  const at = performance.now();
  const asked = { id: page.current, keys: { ...change().keys }, start: range[0], end: range[1] };
  retaking = true;
  const found = await trying(() => post("retake", asked));
  retaking = false;
  if (!found || asked.id !== page.current) return;
  const meanwhile = making || JSON.stringify(asked.keys) !== JSON.stringify(change().keys);
  setAll(found.keys, true, () => (meanwhile ? remake(at) : swap(taken(found), at)));
}

// ---- keep and approve ------------------------------------------------------------------------------------------------

// While the manifest is written no look at the disk may open another line: a take that is kept is its line afterwards.
const writing = (work) => async () => {
  page.writing += 1;
  try {
    return await work();
  } finally {
    page.writing -= 1;
  }
};

export const keep = writing(async () => {
  const { id, keys } = { id: page.current, keys: { ...change().keys } };
  if (!Object.keys(keys).length) return true;
  const kept = await trying(() => post("keep", { id, keys }));
  if (!kept) return false;
  if (kept.id !== id) {
    page.changes.delete(id); // a take that was chosen is its line now
    await refresh();
    if (id === page.current) await open(kept.id);
  } else {
    if (id === page.current) {
      const mine = change();
      for (const name of ["undo", "redo"]) mine[name] = mine[name].map((before) => rebased(before, keys, page.line.own, kept.own));
      mine.keys = rebased(mine.keys, keys, page.line.own, kept.own); // what was changed while it was written
      page.line.own = kept.own;
      mine.redone = null;
    } else page.changes.delete(id);
    await refresh();
    controls();
  }
  buttons();
  say(`${kept.id} is written into the manifest; msmd batch makes it.`, true);
  return true;
});

// Every line that was changed, in the order in which they were.
export const keepAll = writing(async () => {
  let kept = 0;
  for (const id of changed()) {
    if (id === page.current) {
      if (!(await keep())) return;
    } else {
      if (!(await trying(() => post("keep", { id, keys: change(id).keys })))) return;
      page.changes.delete(id);
      await refresh();
    }
    kept += 1;
  }
  buttons();
  say(`${kept} lines are written into the manifest; msmd batch makes them.`, true);
});

// What a step of undo says once some keys are the line's own: those that it did not change are as they were before.
function rebased(step, kept, before, after) {
  const found = { ...step };
  for (const key of Object.keys(kept)) if (!(key in found)) found[key] = before[key] ?? null;
  for (const key of Object.keys(found)) if (JSON.stringify(found[key]) === JSON.stringify(after[key] ?? null)) delete found[key];
  return found;
}

// An approval is of what the manifest says, so what was changed is kept first.
export async function mark() {
  const given = { id: page.current, approved: $("approved").checked, note: $("note").value };
  const undone = () => void ($("approved").checked = page.lines.get(page.current)?.approved ?? false);
  if (given.approved && !(await keep())) return undone();
  given.id = page.current;
  if (!(await trying(() => post("mark", given)))) return undone();
  const line = page.lines.get(given.id);
  Object.assign(line, { approved: given.approved, note: given.note.trim(), words: undefined });
  page.list.redraw();
  counts();
}

// ---- what is shown ---------------------------------------------------------------------------------------------------

export function show(soon = false) {
  const take = shownTake();
  const other = page.comparing ? page.now : page.before;
  const { timeline, player } = page;
  if (take) {
    timeline.sound = take.view.seconds;
    timeline.show(take.motion, other?.motion ?? null, take.peaks, take.view.seconds, soon);
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
    if (!page.line) $("controls").replaceChildren();
  }
  buttons();
  draw(player.time, false);
}

export function draw(time, playing) {
  const take = shownTake();
  const { player } = page;
  $("play").textContent = playing ? "Pause" : "Play";
  if (!take) return;
  const frame = playing ? time * player.fps : player.frame;
  page.head?.pose(take.drawn, frame);
  page.reference.pose(frame / player.fps);
  if (playing) for (const head of [page.head, page.reference.on && page.reference.head]) head && head.draw();
  page.timeline.place(time);
  $("time").textContent = `${time.toFixed(2)} s · frame ${player.frame} of ${player.frames}`;
  $("loop").checked = player.loop;
  $("retake").disabled = !player.range || page.lists.fixed();
}

export function buttons() {
  const { keys, undo, redo } = change();
  marked();
  $("redone").hidden = !asRedone(change());
  $("undo").disabled = !undo.length;
  $("redo").disabled = !redo.length;
  $("keep").disabled = !Object.keys(keys).length || !page.now;
  $("compare").disabled = !page.before;
  $("compare").classList.toggle("on", page.comparing);
}

// The list says which lines were changed: drawn again where that has changed.
const told = new Map(); // id -> whether the list says so
function marked() {
  if (Boolean(told.get(page.current)) === unkept(page.current)) return;
  told.set(page.current, unkept(page.current));
  setTimeout(() => {
    page.list.redraw();
    counts();
  });
}

export function compare() {
  if (!page.before) return;
  page.comparing = !page.comparing;
  const take = shownTake();
  page.player.set(take.motion.fps, take.motion.frames);
  show();
}
