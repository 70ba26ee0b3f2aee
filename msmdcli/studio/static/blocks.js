// Segments, gestures and pins as blocks over the time axis: drag them, double-click for a new one, click to change one.

export const LANE = 26;
const SHOWN = { gestures: 0.6, pins: 0.3 }; // seconds shown of a gesture that is as long as it was made, and of a single pose
const TIMES = { segments: "start", gestures: "at", pins: "time" }; // the key of an item's time
const APART = 0.05; // seconds between two segments

const styleWords = (style) => (Array.isArray(style) ? style.map((one) => one.ref ?? one).join(" + ") : style);
const WORDS = {
  segments: ({ style, regions, intensity }) => [styleWords(style), ...Object.entries(regions ?? {}).map(([name, one]) => `${name}: ${styleWords(one)}`), intensity !== undefined ? `x${intensity}` : ""],
  gestures: ({ name }) => [name],
  pins: ({ channels, file }) => (file ? ["as it was"] : Object.entries(channels ?? {}).map(([name, value]) => `${name} ${value}`)),
};

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

  draw(pen, row, timeline, css) {
    const spans = this.spans(timeline.seconds);
    for (const { index, from, to, label } of spans) {
      const x = timeline.x(from);
      const free = Math.min(...spans.filter((one) => one.from > from).map((one) => timeline.x(one.from) - 4), timeline.width) - x; // for words
      const wide = Math.max(6, timeline.x(to) - x - 1);
      const chosen = this.lists.selected?.name === this.name && this.lists.selected.index === index;
      pen.fillStyle = css("--soft");
      pen.strokeStyle = css(chosen ? "--accent" : "--line");
      pen.lineWidth = chosen ? 2 : 1;
      pen.beginPath();
      pen.roundRect(x + 0.5, row.top + 3.5, wide, row.height - 8, 4);
      pen.fill();
      pen.stroke();
      pen.save();
      pen.beginPath();
      pen.rect(x, row.top, Math.max(wide, free), row.height);
      pen.clip();
      pen.fillStyle = css("--text");
      pen.fillText(label, x + 6, row.top + row.height / 2 + 4);
      pen.restore();
    }
  }

  at(time, timeline) {
    const reach = timeline.time(timeline.x(0) + 4) || 0; // four pixels
    return this.spans(timeline.seconds).findLast(({ from, to }) => time >= from - reach && time <= to);
  }

  // A press on a block: selects it, and drags it along.
  down(time, timeline) {
    const found = this.at(time, timeline);
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
