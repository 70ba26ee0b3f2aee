// The performance that a line follows, on a head of its own beside the line's: in step, or a clip as it was performed.

import { motionOf, post } from "./api.js";
import { Head } from "./head.js";
import { $, change, page, trying } from "./page.js";

export class Reference {
  constructor() {
    this.on = false;
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

  toggle() {
    if (!page.head) return;
    this.on = !this.on;
    $("stage").classList.toggle("both", this.on);
    $("reference").hidden = !this.on;
    $("beside").classList.toggle("on", this.on);
    if (this.on && !this.head) {
      this.head = new Head($("performer"));
      if (this.pack) this.wear(this.pack);
    }
    page.head.fit();
    this.head.fit();
    if (this.on) this.refresh();
    else this.clear();
  }

  // Ask for what the line that is shown follows.
  async refresh() {
    if (!this.on || !page.now) return;
    const asked = { id: page.current, keys: { ...change().keys } };
    this.asked = asked;
    const found = await trying(() => post("reference", asked));
    if (!found || found.waiting || this.asked !== asked) return;
    const clips = found.clips.map(({ name, curves }) => ({ name, motion: motionOf(curves) }));
    this.found = { clips, step: motionOf(found.step), plays: found.plays };
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
      const { step, plays } = this.found;
      this.head.pose(step, time * step.fps);
      const [from, name, at] = plays.findLast(([start]) => start <= time + 1e-6) ?? plays[0];
      $("plays").textContent = `${name}, from ${at.toFixed(1)} s on`;
    } else {
      const { motion } = this.found.clips[+$("clip").value];
      const seconds = motion.frames / motion.fps;
      this.head.pose(motion, (time % seconds) * motion.fps);
      $("plays").textContent = `${(time % seconds).toFixed(2)} of ${seconds.toFixed(2)} s`;
    }
  }
}
