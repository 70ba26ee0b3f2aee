// The list of lines: only the rows that are seen exist, so ten thousand lines cost as much as thirty.

const HEIGHT = 46;
const BEYOND = 6; // rows above and below what is seen

export class List {
  constructor(box, inside, onChoose) {
    this.box = box;
    this.inside = inside;
    this.onChoose = onChoose;
    this.all = [];
    this.shown = [];
    this.current = "";
    this.changed = () => false; // whether a line has changes that are nowhere yet
    this.onNone = () => {}; // shows all lines again
    this.rows = new Map(); // place in `shown` -> element
    box.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(box);
    inside.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) this.onChoose(row.dataset.id);
    });
  }

  fill(lines) {
    this.all = lines;
  }

  // What of a line is searched.
  words(line) {
    line.words ??= [line.id, line.text, line.style, line.character, line.language, line.note].join(" ").toLowerCase();
    return line.words;
  }

  filter(words, wanted) {
    const parts = words.toLowerCase().split(/\s+/).filter(Boolean);
    this.shown = this.all.filter((line) => parts.every((part) => this.words(line).includes(part)) && wanted(line));
    this.redraw();
  }

  redraw() {
    for (const row of this.rows.values()) row.remove();
    this.rows.clear();
    this.inside.style.height = `${this.shown.length * HEIGHT}px`;
    this.none();
    this.draw();
  }

  // What stands there where no line fits.
  none() {
    this.inside.querySelector(".none")?.remove();
    if (this.shown.length || !this.all.length) return;
    const again = Object.assign(document.createElement("button"), { textContent: "Show all lines" });
    again.addEventListener("click", () => this.onNone());
    const said = document.createElement("div");
    said.className = "none quiet";
    said.append("No line fits.", again);
    this.inside.append(said);
  }

  draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / HEIGHT) - BEYOND);
    const last = Math.min(this.shown.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / HEIGHT) + BEYOND);
    for (const [place, row] of this.rows) {
      if (place < first || place >= last) {
        row.remove();
        this.rows.delete(place);
      }
    }
    for (let place = first; place < last; place += 1) {
      if (!this.rows.has(place)) this.rows.set(place, this.row(place));
    }
  }

  row(place) {
    const line = this.shown[place];
    const row = document.createElement("div");
    row.className = line.id === this.current ? "row now" : "row";
    row.classList.toggle("changed", this.changed(line));
    row.dataset.id = line.id;
    row.setAttribute("role", "option");
    row.style.top = `${place * HEIGHT}px`;
    const part = (name, text) => {
      const made = document.createElement("span");
      made.className = name;
      made.textContent = text;
      row.append(made);
    };
    part("id", line.id);
    if (line.approved && ["changed", "gone"].includes(line.approval)) part("mark warn", "approved, changed");
    else if (line.approved) part("mark good", "approved");
    else if (line.status === "failed") part("mark bad", "failed");
    else if (line.concerns.length) part("mark warn", line.concerns.length === 1 ? "1 concern" : `${line.concerns.length} concerns`);
    else part("mark quiet", line.status === "new" ? "new" : "");
    part("more", [line.redone ? "redone" : "", line.style, line.character, line.text].filter(Boolean).join(" · "));
    row.title = [this.changed(line) ? "Changed, and not kept yet." : "", line.text, ...line.concerns, line.note].filter(Boolean).join("\n");
    this.inside.append(row);
    return row;
  }

  choose(id) {
    this.current = id;
    const place = this.shown.findIndex((line) => line.id === id);
    if (place >= 0) {
      const top = place * HEIGHT;
      if (top < this.box.scrollTop) this.box.scrollTop = top;
      if (top + HEIGHT > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + HEIGHT - this.box.clientHeight;
    }
    this.redraw();
  }

  beside(step) {
    const place = this.shown.findIndex((line) => line.id === this.current);
    const next = place < 0 ? 0 : Math.min(this.shown.length - 1, Math.max(0, place + step));
    return this.shown[next]?.id;
  }
}
