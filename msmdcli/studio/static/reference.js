// The performance that a line follows, on a head of its own beside the line's: in step, or a clip as it was performed.

import { motionOf, post } from "./api.js";
import { $, change, page, say, trying } from "./page.js";

const LATE = 0.1; // seconds that a playing video may be off before it jumps
const EXACT = 0.01; // ... and one that stands
const PACES = [0.25, 4]; // as fast as browsers play

export class Reference {
  constructor() {
    this.on = this.pictured = false;
    this.address = "";
    $("picture").addEventListener("error", () => {
      if (!this.pictured) return;
      this.pictured = false;
      say("This browser does not play this kind of video; its motion is shown.");
      page.player.tell();
    });
    this.head = this.pack = this.found = null;
    $("clip").addEventListener("change", () => this.chosen());
  }

  wear(pack) {
    this.pack = pack;
    if (!this.head) return;
    this.head.open(pack);
    this.head.follow(page.head);
  }

  clear() {
    this.found = null;
    this.asked = null;
    this.told();
  }

  // Nothing, its motion on a head, the picture of a video.
  next() {
    const films = this.on && !this.pictured && this.found?.clips.some(({ film }) => film);
    this.pictured = Boolean(films);
    if (!films) this.toggle();
    page.player.tell();
  }

  toggle() {
    if (!page.head) return;
    this.on = !this.on;
    $("stage").classList.toggle("both", this.on);
    $("reference").hidden = !this.on;
    $("beside").classList.toggle("on", this.on);
    if (this.on && !this.head) {
      this.head = new page.head.constructor($("performer"), () => page.busy());
      if (this.pack) this.wear(this.pack);
    }
    page.head.fit();
    this.head.fit();
    if (this.on) this.refresh();
    else {
      this.clear();
      $("picture").pause();
    }
  }

  // Ask for what the line that is shown follows.
  async refresh() {
    if (!this.on || !page.now) return;
    const asked = { id: page.current, keys: { ...change().keys } };
    this.asked = asked;
    const found = await trying(() => post("reference", asked));
    if (!found || found.waiting || this.asked !== asked) return;
    const clips = found.clips.map(({ name, curves, film }) => ({ name, film, motion: motionOf(curves) }));
    this.found = { ...found, clips, step: motionOf(found.step) };
    const before = $("clip").value;
    const choices = [...(this.found.step ? [["step", "in step"]] : []), ...clips.map(({ name }, k) => [`${k}`, `${name}, from its start`])];
    $("clip").replaceChildren(...choices.map(([value, text]) => new Option(text, value)));
    $("clip").value = choices.some(([value]) => value === before) ? before : (choices[0]?.[0] ?? "");
    this.chosen();
  }

  chosen() {
    this.told();
    page.timeline.reference = this.found && $("clip").value === "step" ? this.found.step : null;
    page.timeline.draw();
    page.player.tell();
  }

  told() {
    $("clip").hidden = !this.found?.clips.length;
    $("plays").textContent = this.found && !this.found.clips.length ? "This line follows no performance." : "";
    if (!this.found) page.timeline.reference = null;
  }

  // Pose for a time of the line, in seconds.
  pose(time) {
    if (!this.on || !this.head || !this.found?.clips.length) return;
    if ($("clip").value === "step") {
      const { step, plays, source, clips } = this.found;
      const frame = Math.min(step.frames - 1, Math.max(0, Math.floor(time * step.fps + 1e-3)));
      const pace = ((source.seconds[frame + 1] ?? source.seconds[frame]) - source.seconds[frame]) * step.fps; // seconds of the clip in a second of the line
      if (!this.film(clips[source.clip[frame]].film, source.seconds[frame], pace, source.mirrored[frame])) this.head.pose(step, time * step.fps);
      const [from, name, at] = plays.findLast(([start]) => start <= time + 1e-6) ?? plays[0];
      $("plays").textContent = `${name}, from ${at.toFixed(1)} s on`;
    } else {
      const { motion, film } = this.found.clips[+$("clip").value];
      const seconds = motion.frames / motion.fps;
      if (!this.film(film, time % seconds, 1, false)) this.head.pose(motion, (time % seconds) * motion.fps);
      $("plays").textContent = `${(time % seconds).toFixed(2)} of ${seconds.toFixed(2)} s`;
    }
  }
  // Show the picture of a video at a moment of its clip; false where its motion is to be shown.
  film(film, seconds, pace, mirrored) {
    const video = $("picture");
    const shown = this.pictured && Boolean(film);
    video.hidden = !shown;
    $("performer").style.visibility = shown ? "hidden" : "";
    if (!shown) {
      video.pause();
      return false;
    }
    const address = `api/picture?number=${film.number}`;
    if (this.address !== address) video.src = this.address = address;
    video.style.transform = mirrored ? "scaleX(-1)" : ""; // as the line took it over
    const { playing, sound } = page.player;
    const rate = pace * sound.playbackRate;
    const runs = playing && rate >= PACES[0]; // a short clip runs to and fro: back by jumps
    if (runs) video.playbackRate = Math.min(PACES[1], rate);
    if (runs && video.paused) video.play().catch(() => {});
    if (!runs) video.pause();
    const wanted = film.start + seconds;
    if (!video.seeking && Math.abs(video.currentTime - wanted) > (runs ? LATE : EXACT)) video.currentTime = wanted;
    return true;
  }
}
