// Segments, gestures and pins as blocks over the time axis: drag them, double-click for a new one, click to change one.

const LANE = 26;
const STEP = 20; // pixels from one row of a lane to the next
const MOST_ROWS = 3;
const PADDING = 6; // pixels left of a label
const SHOWN = { gestures: 0.6, pins: 0.3 }; // seconds shown of a gesture that is as long as it was made, and of a single pose
const TIMES = { segments: "start", gestures: "at", pins: "time" }; // the key of an item's time
const APART = 0.05; // seconds between two segments

const styleWords = (style) => (Array.isArray(style) ? style.map((one) => one.ref ?? one).join(" + ") : style);
const WORDS = {
  segments: ({ style, regions, intensity }) => [styleWords(style), ...Object.entries(regions ?? {}).map(([name, one]) => `${name}: ${styleWords(one)}`), intensity !== undefined ? `x${intensity}` : ""],
  gestures: ({ name }) => [name],
  pins: ({ channels, file }) => (file ? ["as it was"] : Object.entries(channels ?? {}).map(([name, value]) => `${name} ${value}`)),
};

// A label that fits a width, cut with an ellipsis where it does not.
function fitted(pen, label, width) {
  if (pen.measureText(label).width <= width) return label;
  let size = label.length;
  while (size > 0 && pen.measureText(`${label.slice(0, size)}…`).width > width) size -= 1;
  return size > 0 ? `${label.slice(0, size)}…` : "";
}

export class Lane {
  // lists: {list(name), live(name, list), commit(name, list), select(name, index), selected: {name, index}, fresh(name, time)}
  constructor(name, lists) {
    this.name = name;
    this.lists = lists;
    this.time = TIMES[name];
  }

  spans(end) {
    const items = this.lists.list(this.name);
    return items.map((item, index) => {
      const from = item[this.time] ?? 0;
      const whole = item[this.time] === undefined; // a pin of the whole line
      const to = whole ? end : this.name === "segments" ? (items[index + 1]?.start ?? end) : from + ((item.length ?? item.hold) || SHOWN[this.name]);
      return { index, from, to: Math.max(from, Math.min(to, end)), label: WORDS[this.name](item).filter(Boolean).join(" ") || "..." };
    });
  }

  // Where each block stands: blocks whose labels would run into one another are in rows below one another.
  placed(timeline, pen) {
    const spans = this.spans(timeline.seconds);
    const rows = this.name === "segments" ? 1 : MOST_ROWS; // segments follow upon one another
    const ends = [];
    const found = spans.map((span) => {
      const x = timeline.x(span.from);
      const wide = Math.max(6, timeline.x(span.to) - x - 1);
      const words = PADDING + pen.measureText(span.label).width + 4;
      const free = ends.findIndex((end) => end <= x);
      const row = free >= 0 ? free : ends.length < rows ? ends.length : ends.indexOf(Math.min(...ends));
      ends[row] = x + Math.max(wide, words);
      return { ...span, x, wide, row };
    });
    this.rows = Math.max(1, ends.length);
    for (const one of found) {
      const next = found.filter(({ row, x }) => row === one.row && x > one.x).map(({ x }) => x - 4);
      one.free = Math.max(Math.min(...next, timeline.width) - one.x, this.name === "segments" ? one.wide : 0); // for words
    }
    return found;
  }

  height(timeline, pen) {
    this.placed(timeline, pen);
    return LANE + STEP * (this.rows - 1);
  }

  draw(pen, row, timeline, css) {
    for (const { index, label, x, wide, free, row: number } of this.placed(timeline, pen)) {
      const top = row.top + STEP * number;
      const chosen = this.lists.selected?.name === this.name && this.lists.selected.index === index;
      pen.fillStyle = css("--soft");
      pen.strokeStyle = css(chosen ? "--accent" : "--line");
      pen.lineWidth = chosen ? 2 : 1;
      pen.beginPath();
      pen.roundRect(x + 0.5, top + 3.5, wide, LANE - 8, 4);
      pen.fill();
      pen.stroke();
      pen.fillStyle = css("--text");
      pen.fillText(fitted(pen, label, Math.max(wide, free) - PADDING), x + PADDING, top + LANE / 2 + 4);
    }
  }

  // The block at a time, and so many pixels below the top of the lane.
  at(time, timeline, y = null) {
    const x = timeline.x(time);
    const pen = timeline.sheet.getContext("2d");
    const here = this.placed(timeline, pen).filter((one) => x >= one.x - 4 && x <= one.x + one.wide);
    const row = y === null ? 0 : Math.min(this.rows - 1, Math.floor(Math.max(0, y) / STEP));
    return here.findLast((one) => one.row === row) ?? here.at(-1);
  }

  // A press on a block: selects it, and drags it along.
  down(time, timeline, y) {
    const found = this.at(time, timeline, y);
    if (!found) {
      this.lists.select(null);
      return null;
    }
    this.lists.select({ name: this.name, index: found.index });
    const items = structuredClone(this.lists.list(this.name));
    const item = items[found.index];
    if (item.file || item[this.time] === undefined) return { move: () => {}, up: () => {} }; // what a retake keeps stays where it is
    const grip = time - item[this.time];
    let moved = false;
    return {
      move: (now) => {
        let to = Math.max(0, now - grip);
        if (this.name === "segments") {
          to = Math.max(to, (items[found.index - 1]?.start ?? -APART) + APART);
          to = Math.min(to, (items[found.index + 1]?.start ?? timeline.seconds) - APART);
        }
        to = +Math.min(to, timeline.seconds).toFixed(2);
        if (to === item[this.time]) return;
        item[this.time] = to;
        moved = true;
        this.lists.live(this.name, items);
      },
      up: () => moved && this.lists.commit(this.name, items),
    };
  }

  // A new block.
  add(time) {
    const items = structuredClone(this.lists.list(this.name));
    const item = this.lists.fresh(this.name, +time.toFixed(2));
    if (this.name === "segments" && items.some(({ start }) => Math.abs(start - item.start) < APART)) return;
    items.push(item);
    items.sort((a, b) => a[this.time] - b[this.time]);
    this.lists.commit(this.name, items);
    this.lists.select({ name: this.name, index: items.indexOf(item) });
  }
}
