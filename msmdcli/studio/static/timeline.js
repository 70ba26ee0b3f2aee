// Waveform and curves under one time axis: click to go there, drag to choose a range, click a region to open it.

const FONT = "12px system-ui, sans-serif";
const LABEL = 118; // pixels for names, left of the curves
const WAVE = 58;
const REGION = 40;
const CHANNEL = 26;
const COLOURS = [212, 28, 145, 330, 265, 90, 0, 180, 48, 300];

// A colour of the style sheet as a canvas understands it: light-dark() is resolved by an element that wears it. Each is
// asked for once, because asking makes the browser style the whole page.
const probe = document.createElement("i");
const darkness = matchMedia("(prefers-color-scheme: dark)");
const resolved = new Map();
darkness.addEventListener("change", () => resolved.clear());
function css(name) {
  if (!resolved.has(name)) {
    if (!probe.isConnected) document.body.append(probe);
    probe.style.color = `var(${name})`;
    resolved.set(name, getComputedStyle(probe).color);
  }
  return resolved.get(name);
}

export class Timeline {
  constructor(parts, player) {
    Object.assign(this, parts); // box, wave, sheet, curves, range, head, hover
    this.player = player;
    this.open = new Set();
    this.motion = this.before = this.reference = null;
    this.peaks = [];
    this.rows = [];
    new ResizeObserver(() => this.draw()).observe(this.curves);
    darkness.addEventListener("change", () => this.draw());
    for (const canvas of [this.wave, this.sheet]) this.listen(canvas);
  }

  show(motion, before, peaks, seconds, soon = false) {
    this.motion = motion;
    this.before = before;
    this.peaks = peaks;
    this.seconds = Math.max(seconds, motion ? motion.frames / motion.fps : 0, 0.01);
    if (soon) this.drawSoon();
    else this.draw();
  }

  // After the picture that is on its way: the face is seen first, its curves a moment later.
  drawSoon() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => setTimeout(() => this.asked && this.draw()));
  }

  x(time) {
    return LABEL + (time / this.seconds) * (this.width - LABEL - 8);
  }

  time(x) {
    return Math.min(this.seconds, Math.max(0, ((x - LABEL) / (this.width - LABEL - 8)) * this.seconds));
  }

  row(event) {
    return this.rows.find((one) => event.offsetY >= one.top && event.offsetY < one.top + one.height);
  }

  listen(canvas) {
    let drag = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.motion || event.button) return;
      const row = canvas === this.sheet ? this.row(event) : null;
      if (event.offsetX < LABEL) {
        if (row?.region) this.toggle(row.region);
        return;
      }
      canvas.setPointerCapture(event.pointerId);
      drag = row?.lane?.down(this.time(event.offsetX), this, event.offsetY - row.top) ?? (row?.inner && this.pins?.down(event, row, this)) ?? null;
      drag ||= this.ranging(event.offsetX);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.motion && canvas === this.sheet) this.point(event);
      drag?.move(this.time(event.offsetX), event.offsetY, event.offsetX);
    });
    canvas.addEventListener("pointerup", () => {
      drag?.up();
      drag = null;
    });
    canvas.addEventListener("dblclick", (event) => {
      const row = canvas === this.sheet ? this.row(event) : null;
      if (row?.lane && event.offsetX >= LABEL && !row.lane.lists.fixed() && !row.lane.at(this.time(event.offsetX), this, event.offsetY - row.top)) row.lane.add(this.time(event.offsetX));
    });
    canvas.addEventListener("pointerleave", () => (this.hover.hidden = true));
  }

  // A press elsewhere: goes there, and drags a range.
  ranging(from) {
    this.player.range = null;
    this.player.seek(this.time(from));
    this.place();
    this.onRange?.();
    return {
      move: (time, y, x) => {
        if (Math.abs(x - from) <= 4) return;
        this.player.range = [this.time(from), time].sort((a, b) => a - b);
        this.place();
      },
      up: () => {
        if (!this.player.range) return;
        this.player.loop = true;
        this.player.seek(this.player.range[0]);
        this.onRange?.();
      },
    };
  }

  toggle(region) {
    if (!this.open.delete(region)) this.open.add(region);
    this.draw();
  }

  // What is under the pointer: channel, time and value.
  point(event) {
    const row = this.row(event);
    const block = event.offsetX >= LABEL && row?.lane?.at(this.time(event.offsetX), this, event.offsetY - row.top);
    this.sheet.style.cursor = event.offsetX < LABEL ? "pointer" : block ? "grab" : row?.inner && this.pins?.near(event, row, this).close ? "ns-resize" : "text";
    if (block) {
      this.hover.hidden = false;
      this.hover.textContent = `${block.label} at ${block.from.toFixed(2)} s`;
      return;
    }
    if (!row || row.lane || event.offsetX < LABEL) return void (this.hover.hidden = true);
    const { motion } = this;
    const frame = Math.min(motion.frames - 1, Math.floor(this.time(event.offsetX) * motion.fps));
    let best = null;
    for (const name of row.channels) {
      const value = motion.values[frame * motion.width + motion.column.get(name)];
      const away = Math.abs(event.offsetY - row.y(value, name));
      if (!best || away < best.away) best = { away, name, value };
    }
    this.hover.hidden = false;
    this.hover.textContent = `${best.name} ${best.value.toFixed(3)} at ${(frame / motion.fps).toFixed(2)} s`;
  }

  sized(canvas, width, height) {
    const ratio = devicePixelRatio;
    const pen = canvas.getContext("2d");
    const size = [width, height].map((side) => Math.round(side * ratio));
    if (canvas.width !== size[0] || canvas.height !== size[1]) {
      [canvas.width, canvas.height] = size;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = FONT;
    return pen;
  }

  draw() {
    this.asked = false;
    this.width = this.curves.clientWidth;
    if (!this.width) return;
    this.drawWave();
    this.drawSheet();
    this.place();
  }

  drawWave() {
    const drawn = [this.peaks, this.sound, this.seconds, this.width, devicePixelRatio, darkness.matches, Boolean(this.motion)];
    if (this.waved?.every((one, k) => one === drawn[k])) return; // the sound stays the same from take to take
    this.waved = drawn;
    const pen = this.sized(this.wave, this.width, WAVE);
    if (!this.motion) return;
    pen.fillStyle = css("--quiet");
    pen.fillText("sound", 8, 34);
    const tick = [0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60].find((step) => this.x(step) - this.x(0) > 56) ?? 120;
    for (let time = 0; time <= this.seconds + 1e-6; time += tick) {
      const x = this.x(time);
      pen.fillStyle = css("--line");
      pen.fillRect(x, 0, 1, WAVE);
      pen.fillStyle = css("--quiet");
      if (x < this.width - 34) pen.fillText(`${+time.toFixed(2)} s`, x + 3, 11);
    }
    const from = this.x(0);
    const wide = this.x(this.sound) - from;
    pen.fillStyle = css("--accent");
    pen.globalAlpha = 0.7;
    const bar = wide / Math.max(1, this.peaks.length);
    this.peaks.forEach((peak, i) => {
      const tall = Math.max(1, (peak / 255) * (WAVE - 18));
      pen.fillRect(from + i * bar, 14 + (WAVE - 18 - tall) / 2, Math.max(0.7, bar * 0.75), tall);
    });
    pen.globalAlpha = 1;
  }

  drawSheet() {
    this.rows = [];
    const { motion } = this;
    if (!motion) return void this.sized(this.sheet, this.width, 1);
    let top = 0;
    const add = (row) => {
      row.top = top;
      const bounds = (name) => {
        const k = motion.column.get(name);
        return motion.rotation.includes(name) ? [-row.most, row.most] : [Math.min(0, motion.lower[k]), row.most];
      };
      row.value = (y, name) => {
        const [low, high] = bounds(name);
        const k = motion.column.get(name);
        const value = low + ((row.top + row.height - 4 - y) / (row.height - 8)) * (high - low);
        return Math.min(motion.upper[k], Math.max(motion.lower[k], value));
      };
      row.scale = (name) => {
        const [low, high] = bounds(name);
        const tall = row.height - 8;
        const foot = row.top + row.height - 4;
        return (value) => foot - Math.min(1, Math.max(0, (value - low) / Math.max(1e-6, high - low))) * tall;
      };
      row.y = (value, name) => row.scale(name)(value);
      this.rows.push(row);
      top += row.height;
    };
    const measure = this.sheet.getContext("2d");
    measure.font = FONT;
    for (const lane of this.lanes ?? []) add({ lane, label: lane.name, channels: [], height: lane.height(this, measure) });
    for (const [region, channels] of Object.entries(motion.regions)) {
      const open = this.open.has(region);
      const most = this.most(channels);
      add({ region, most, label: `${open ? "▾" : "▸"} ${region}`, channels, height: REGION });
      if (open) for (const name of channels) add({ label: name, most, channels: [name], height: CHANNEL, inner: true });
    }
    const pen = this.sized(this.sheet, this.width, top);
    for (const row of this.rows) {
      pen.fillStyle = css("--line");
      pen.fillRect(0, row.top + row.height - 1, this.width, 1);
      pen.fillStyle = css(row.inner ? "--quiet" : "--text");
      pen.fillText(row.label, row.inner ? 20 : 8, row.top + row.height / 2 + 4, LABEL - (row.inner ? 24 : 12));
      if (row.lane) row.lane.draw(pen, row, this, css);
      if (row.region) {
        pen.fillStyle = css("--quiet");
        pen.textAlign = "right";
        pen.fillText(`${+row.most.toFixed(2)}`, LABEL - 8, row.top + 12);
        pen.textAlign = "left";
      }
      row.channels.forEach((name, i) => {
        const place = motion.regions[row.region]?.indexOf(name) ?? i;
        if (row.inner && this.before) this.line(pen, this.before, row, name, css("--quiet"), 0.6);
        if (row.inner && this.reference) this.line(pen, this.reference, row, name, css("--quiet"), 1, [4, 3]);
        this.line(pen, motion, row, name, this.colour(row.inner ? this.place0(name) : place), 1.2);
      });
      if (row.inner) this.pins?.draw(pen, row, this, css);
    }
  }

  // The scale of a region: its largest value, a little more, and at least a fifth of the range.
  most(channels) {
    const { motion } = this;
    let most = 0;
    for (const name of channels) {
      const column = motion.column.get(name);
      for (let i = column; i < motion.values.length; i += motion.width) most = Math.max(most, Math.abs(motion.values[i]));
    }
    return Math.max(0.2, Math.ceil(most * 1.05 * 20) / 20);
  }

  place0(name) {
    for (const channels of Object.values(this.motion.regions)) if (channels.includes(name)) return channels.indexOf(name);
    return 0;
  }

  colour(place) {
    return `hsl(${COLOURS[place % COLOURS.length]} 62% ${darkness.matches ? 66 : 42}%)`;
  }

  line(pen, motion, row, name, colour, width, dashes = []) {
    const column = motion.column.get(name);
    if (column === undefined) return;
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.setLineDash(dashes);
    pen.beginPath();
    const y = row.scale(name);
    const { values, width: channels } = motion;
    const from = this.x(0);
    const step = this.x(1 / motion.fps) - from;
    for (let frame = 0, at = column; frame < motion.frames; frame += 1, at += channels) pen.lineTo(from + frame * step, y(values[at]));
    pen.stroke();
    pen.setLineDash([]);
  }

  // The place of the sound, and the range.
  place(time = this.player.time) {
    if (!this.width || !this.motion) return;
    this.head.style.transform = `translateX(${this.x(Math.min(time, this.seconds))}px)`;
    const { range } = this.player;
    this.range.hidden = !range;
    if (range) {
      this.range.style.transform = `translateX(${this.x(range[0])}px)`;
      this.range.firstElementChild.textContent = `${range.map((x) => x.toFixed(2)).join(" to ")} s`;
      this.range.style.width = `${this.x(range[1]) - this.x(range[0])}px`;
    }
  }
}
