// Sound and time. The sound's own clock is the master: the picture is drawn for where the sound is.

export class Player {
  constructor(sound, onTime) {
    this.sound = sound;
    this.onTime = onTime;
    this.fps = 25;
    this.frames = 0;
    this.range = null; // [from, to] seconds
    this.loop = false;
    sound.preservesPitch = true;
    sound.addEventListener("ended", () => this.atEnd());
    for (const name of ["play", "pause", "seeked", "loadedmetadata"]) sound.addEventListener(name, () => this.tell());
    let turning = false;
    const turn = () => {
      turning = this.playing;
      if (!turning) return;
      this.check();
      requestAnimationFrame(turn);
    };
    sound.addEventListener("play", () => turning || turn()); // a page at rest has nothing to do
  }

  get playing() {
    return !this.sound.paused;
  }

  get time() {
    return this.sound.currentTime;
  }

  get end() {
    return this.frames / this.fps;
  }

  // The frame that is due; a frame lasts from its time to the next one's.
  get frame() {
    return Math.min(Math.max(0, this.frames - 1), Math.floor(this.time * this.fps + 1e-3));
  }

  open(address, fps, frames) {
    this.set(fps, frames);
    this.range = null;
    this.sound.src = address;
  }

  set(fps, frames) {
    this.fps = fps;
    this.frames = frames;
  }

  check() {
    if (this.range && this.loop && (this.time >= this.range[1] || this.time < this.range[0] - 0.05)) {
      this.sound.currentTime = this.range[0];
    }
    this.tell();
  }

  atEnd() {
    if (!this.loop) return this.tell();
    this.sound.currentTime = this.range ? this.range[0] : 0;
    this.sound.play().catch(() => {});
  }

  tell() {
    this.onTime(this.time, this.playing);
  }

  async toggle() {
    if (this.playing) return this.sound.pause();
    const [from, to] = this.range ?? [0, Infinity];
    if (this.sound.ended || (this.range && (this.time < from || this.time >= to - 0.02))) this.sound.currentTime = from;
    await this.sound.play();
  }

  seek(time) {
    this.sound.currentTime = Math.min(Math.max(0, time), this.sound.duration || this.end);
    this.tell();
  }

  step(by) {
    this.sound.pause();
    const frame = Math.min(Math.max(0, this.frames - 1), Math.max(0, this.frame + by));
    this.seek((frame + 0.25) / this.fps); // within the frame, however times are rounded
  }

  speed(value) {
    this.sound.playbackRate = value;
  }
}
