// Pins: a point of a channel's curve that is dragged becomes a key pose, which the animation then meets.

const NEAR = 7; // pixels from the curve at which it is gripped

export class Pins {
  constructor(lists) {
    this.lists = lists;
  }

  // The pins of a channel: when, and at which value; those that follow a file or a region are drawn elsewhere.
  of(channel) {
    return this.lists.list("pins").flatMap((pin, index) => {
      const value = pin.file ? undefined : pin.channels?.[channel];
      return value === undefined || pin.time === undefined ? [] : [{ index, time: pin.time, value }];
    });
  }

  draw(pen, row, timeline, css) {
    for (const { time, value } of this.of(row.channels[0])) {
      const x = timeline.x(time);
      const y = row.y(value, row.channels[0]);
      pen.fillStyle = css("--accent");
      pen.beginPath();
      pen.moveTo(x, y - 5);
      pen.lineTo(x + 5, y);
      pen.lineTo(x, y + 5);
      pen.lineTo(x - 5, y);
      pen.fill();
    }
  }

  near(event, row, timeline) {
    const { motion } = timeline;
    const channel = row.channels[0];
    const frame = Math.min(motion.frames - 1, Math.max(0, Math.round(timeline.time(event.offsetX) * motion.fps)));
    const value = motion.values[frame * motion.width + motion.column.get(channel)];
    const pin = this.of(channel).find(({ time, value: at }) => Math.abs(timeline.x(time) - event.offsetX) < NEAR && Math.abs(row.y(at, channel) - event.offsetY) < NEAR);
    return { channel, frame, pin, close: Boolean(pin) || Math.abs(row.y(value, channel) - event.offsetY) < NEAR };
  }

  // A press near a curve: with Alt a pin goes, else the point follows the pointer.
  down(event, row, timeline) {
    const { channel, frame, pin, close } = this.near(event, row, timeline);
    if (!close || this.lists.fixed()) return null;
    const items = structuredClone(this.lists.list("pins"));
    if (event.altKey) {
      if (pin) {
        delete items[pin.index].channels[channel];
        this.lists.commit("pins", items.filter((one) => one.file || Object.keys(one.channels).length));
      }
      return { move: () => {}, up: () => {} };
    }
    const time = pin ? pin.time : +(frame / timeline.motion.fps).toFixed(4);
    let item = pin ? items[pin.index] : items.find((one) => !one.file && one.time === time && !one.hold);
    if (!item) {
      item = { time, channels: {} };
      items.push(item);
      items.sort((a, b) => (a.time ?? 0) - (b.time ?? 0));
    }
    let moved = false;
    return {
      move: (_, y) => {
        const value = +row.value(y, channel).toFixed(3);
        if (item.channels[channel] === value) return;
        item.channels[channel] = value;
        moved = true;
        this.lists.live("pins", items);
        timeline.draw();
      },
      up: () => moved && this.lists.commit("pins", items),
    };
  }
}
