// What a line shows: loaded when it is looked at, from the page or from a script beside it, and unpacked.

import { decoded, motionOf } from "./api.js";

const waiting = new Map(); // name -> function that gets the data
window.msmdLine = (name, data) => waiting.get(name)?.(data);

function loaded(line) {
  const inside = document.getElementById(line.script);
  if (inside) return Promise.resolve(inside.textContent);
  return new Promise((resolve, reject) => {
    waiting.set(line.script, resolve);
    const script = document.createElement("script");
    script.src = `review/${line.script}.js`;
    script.onerror = () => reject(new Error(`review/${line.script}.js is not beside the page: send the whole folder, or make the page with --one-file`));
    script.onload = () => script.remove();
    document.head.append(script);
  });
}

// {view, motion, peaks} of a packed take (msmdcli/review/takes.py).
async function take(text) {
  if (!text) return null;
  const buffer = await window.msmdUnpacked(text);
  const size = new DataView(buffer).getUint32(0, true);
  const view = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  const { frames, channels } = view.curves;
  const moves = new Int16Array(buffer, 4 + size, frames * channels.length);
  const values = new Float32Array(moves.length);
  channels.forEach((_, c) => {
    let sum = 0;
    for (let t = 0; t < frames; t += 1) {
      sum = ((sum + moves[c * frames + t]) << 16) >> 16; // it wraps around as it was packed
      values[t * channels.length + c] = sum * view.step;
    }
  });
  const peaks = new Uint8Array(buffer, 4 + size + moves.byteLength, view.peaks);
  return { view, motion: { ...motionOf({ ...view.curves, values: "" }), values }, peaks };
}

let playing = null;
export async function takesOf(line) {
  if (!line.data) return { now: null, before: null, address: line.audio };
  const [now, before, kind, sound] = (await loaded(line)).split(",");
  const found = { now: await take(now), before: await take(before), address: line.audio };
  if (!sound) return found;
  URL.revokeObjectURL(playing);
  playing = URL.createObjectURL(new Blob([decoded(sound)], { type: kind }));
  return { ...found, address: playing };
}

const heads = new Map();
export function headOf(number) {
  if (!heads.has(number)) heads.set(number, window.msmdUnpacked(document.getElementById(`head-${number}`).textContent));
  return heads.get(number);
}
