// What the parts of the page share: the line that is shown, what was changed of it, and how something is said.

export const $ = (id) => document.getElementById(id);

export const page = {
  about: null, // what the server says once
  lines: new Map(), // id -> row of the list
  current: "", // id of the line that is shown
  line: null, // of that line: own keys, inherited ones, why it is fixed, which take it is
  now: null, before: null, base: null, // takes: what the server gave, with its motion; base: what the next `before` is
  comparing: false, // the take before is shown
  holding: false, // a slider is moving: one step of undo
  changes: new Map(), // id -> {keys, undo, redo}
  latencies: [], // milliseconds from a change to the picture of it
  writing: 0, // changes that are being written into the manifest
  listed: 0, // when the list was seen, in milliseconds since 1970
  head: null, list: null, player: null, timeline: null, refine: null, lists: null, reference: null,
};
window.studio = page; // for tests, and the curious

// What was changed of a line: its keys, and the steps before and after.
export const change = (id = page.current) => {
  if (!page.changes.has(id)) page.changes.set(id, { keys: {}, undo: [], redo: [] });
  return page.changes.get(id);
};

// Ids of lines with changes that are not kept yet; what a redo made stands in OUT already.
export const asRedone = ({ keys, redone }) => Boolean(redone) && JSON.stringify(keys) === JSON.stringify(redone);
export const unkept = (id) => page.changes.has(id) && Object.keys(change(id).keys).length > 0 && !asRedone(change(id));
export const changed = () => [...page.changes.keys()].filter(unkept);

export const shownTake = () => (page.comparing ? page.before : page.now);

let fading;
export function say(text, good = false) {
  clearTimeout(fading);
  $("message").hidden = !text;
  $("message").classList.toggle("good", good);
  $("message").firstElementChild.textContent = text;
  if (good) fading = setTimeout(() => say(""), 3000);
}

// A long piece of work in the background: what, and which share of it is done; nothing when it has ended.
export function progress(text = "", share = 0) {
  $("progress").hidden = !text;
  $("progress").querySelector("span").textContent = text ? `${text}: ${Math.round(100 * share)} %` : "";
  $("progress").querySelector("progress").value = share;
}

export async function trying(work) {
  try {
    return await work();
  } catch (error) {
    say(error.message);
    if (error.name !== "Error") console.error(error);
    return null;
  }
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));
