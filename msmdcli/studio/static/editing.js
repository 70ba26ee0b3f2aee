// The controls of a line, and what lies on its timeline: segments, gestures and pins.

import { set } from "./line.js";
import { $, change, page } from "./page.js";
import { Refine } from "./refine.js";

const LISTS = ["segments", "gestures", "pins"];
const RETAKES = "retakes/"; // where the files of their pins lie (msmdcli/studio/retake.py)
const NARROW = 0.15; // seconds between pins in which nothing is open
const TIMES = { segments: "start", gestures: "at", pins: "time" };
const FIRST = ["name", "style", "regions", "channels", "at", "start", "time", "hold"]; // controls of a block that come first

export function controls() {
  if (!page.line) return void $("controls").replaceChildren();
  const { keys } = change();
  held();
  page.refine.show({ ...page.line.own, ...keys }, page.line.inherited, page.line.fixed, page.line.dub ? page.about.dub_keys : page.about.keys);
}

export const lists = {
  selected: null, // {name, index}
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
    page.timeline.draw();
    block();
  },
  fresh(name, time) {
    const { range } = page.player;
    if (name === "segments") return { start: time, intensity: given(name).intensity ?? page.about.usual.intensity }; // as it is, until something is chosen
    if (name === "gestures") return { name: page.about.gestures.includes("nod") ? "nod" : page.about.gestures[0], at: time };
    const channel = page.now.motion.channels.includes("browInnerUp") ? "browInnerUp" : page.now.motion.channels[0];
    const held = range ? { hold: +(range[1] - range[0]).toFixed(2) } : {};
    return { time, ...held, channels: { [channel]: valueNow(channel) } };
  },
};

// The value of a channel at the place of the sound; of a region, nothing.
function valueNow(channel) {
  const { motion } = page.now;
  const column = motion.column.get(channel);
  return column === undefined ? 0 : +motion.values[page.player.frame * motion.width + column].toFixed(3);
}

// The controls of the block that is selected.
export function block() {
  const { selected } = lists;
  const item = selected && lists.list(selected.name)[selected.index];
  $("block").hidden = $("whole").hidden = !item;
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
  const about = { ...page.about, keys, first: FIRST, later: [], usual: { ...page.about.usual, hold: 0, blend: 0.25 }, valueNow };
  new Refine($("block").querySelector("div"), about, { onInput: told(false), onCommit: told(true) }).show(item, given(selected.name), page.line?.fixed);
}

// What a block has where it says nothing: a segment, what its line has.
function given(name) {
  if (name !== "segments") return {};
  const said = { ...page.line.inherited, ...page.line.own, ...change().keys };
  return Object.fromEntries(["style", "intensity"].map((key) => [key, said[key] ?? page.line.inherited[key]]));
}

export function remove() {
  const { selected } = lists;
  if (!selected) return;
  lists.selected = null;
  lists.commit(selected.name, lists.list(selected.name).filter((_, index) => index !== selected.index));
}

// ---- by keys ---------------------------------------------------------------------------------------------------------

// ---- after a retake --------------------------------------------------------------------------------------------------

const isHeld = (pin) => String(pin.file ?? "").startsWith(RETAKES);

// A retake holds the rest of its line, so what is chosen afterwards acts in its range alone: said, or somebody wonders.
function held() {
  const pins = lists.list("pins").filter(isHeld).sort((a, b) => a.time - b.time);
  $("held").hidden = !pins.length || lists.fixed();
  const gaps = [...pins, null].map((pin, k) => [k ? pins[k - 1].time + pins[k - 1].hold : 0, pin ? pin.time : (page.now?.view.seconds ?? Infinity)]);
  const open = gaps.filter(([from, to]) => to - from > NARROW).map(([from, to]) => `${from.toFixed(2)} to ${to.toFixed(2)} s`);
  $("held").firstElementChild.textContent = `A retake holds all of this line but ${open.join(" and ") || "a moment"}: changes act there alone.`;
}

export function free() {
  lists.commit("pins", lists.list("pins").filter((pin) => !isHeld(pin)));
}

// A new block where the sound is, or at the start of the range.
export function add(name) {
  if (lists.fixed() || !page.now) return;
  page.timeline.lanes.find((lane) => lane.name === name).add(page.player.range?.[0] ?? page.player.time);
  if (!page.refine.box.offsetParent) document.querySelector('#sides [data-to="refine"]').click(); // on a narrow page
  $("block").querySelector("select, input")?.focus();
}

// The block before or after the one that is selected, in the order of their times.
export function beside(step) {
  const all = LISTS.flatMap((name) => lists.list(name).map((item, index) => ({ name, index, time: item[TIMES[name]] ?? 0 })));
  if (!all.length) return;
  all.sort((a, b) => a.time - b.time);
  const at = all.findIndex(({ name, index }) => name === lists.selected?.name && index === lists.selected.index);
  const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : (at + step + all.length) % all.length;
  lists.select({ name: all[next].name, index: all[next].index });
  page.player.seek(all[next].time);
}

// The selected block some frames on.
export function shift(frames) {
  const { selected } = lists;
  const items = structuredClone(selected ? lists.list(selected.name) : []);
  const item = items[selected?.index];
  const key = TIMES[selected?.name];
  if (!item || item[key] === undefined || item.file) return;
  const low = selected.name === "segments" ? (items[selected.index - 1]?.start ?? -0.05) + 0.05 : 0;
  const high = selected.name === "segments" ? (items[selected.index + 1]?.start ?? page.timeline.seconds) - 0.05 : page.timeline.seconds;
  item[key] = +Math.min(high, Math.max(low, item[key] + frames / page.player.fps)).toFixed(3);
  lists.commit(selected.name, items);
}
