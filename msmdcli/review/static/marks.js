// What somebody says of the lines: approved, to be made again and how, a note. It lives in this browser until it is saved
// as a file. A mark is of one take: when the line was made anew since, it counts no more.

const UNPRINTED = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

// JSON, which YAML reads, with what YAML does not print in escapes.
const yaml = (value) => JSON.stringify(value).replace(UNPRINTED, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

export class Marks {
  constructor(about, lines) {
    this.about = about;
    this.lines = lines;
    this.store = `msmd-review-2-${about.key}`;
    try {
      this.own = JSON.parse(localStorage.getItem(this.store) || "{}");
    } catch {
      this.own = {}; // a browser that keeps nothing for pages from a disk
    }
  }

  // {approved, redo, keys, note}: the reviewer's, else what the page came with.
  of(line) {
    const own = this.own[line.id];
    const given = { approved: Boolean(line.approved), redo: false, keys: {}, note: line.note ?? "" };
    return own && own.key === line.key ? { ...given, ...own } : given;
  }

  set(line, change) {
    this.own[line.id] = { ...this.of(line), ...change, key: line.key };
    try {
      localStorage.setItem(this.store, JSON.stringify(this.own));
    } catch {
      // the marks hold as long as the page is open
    }
  }

  get changed() {
    return this.lines.filter((line) => {
      const { approved, redo, note } = this.of(line);
      return redo || approved !== Boolean(line.approved) || note !== (line.note ?? "");
    });
  }

  count(wanted) {
    return this.lines.filter((line) => wanted(this.of(line))).length;
  }

  // Another take: the next seed.
  static next(line) {
    const seed = line.seed ?? 0;
    return Number.isSafeInteger(seed + 1) ? seed + 1 : 1;
  }

  // The file: lines to do again, which `msmd batch FILE` makes; what is approved and noted, which `msmd review OUT --import FILE` takes in.
  text() {
    const part = (name, lines, entry) => {
      const found = lines.map((line) => [line, this.of(line)]);
      return found.length ? `${name}:\n${found.map(([line, mark]) => `  - ${yaml(entry(line, mark))}\n`).join("")}` : "";
    };
    const noted = (mark) => (mark.note.trim() ? { note: mark.note.trim() } : {});
    const taken = (line) => (line.key ? { key: line.key } : {});
    const redo = this.lines.filter((line) => this.of(line).redo);
    const approved = this.lines.filter((line) => this.of(line).approved);
    const withdrawn = this.lines.filter((line) => line.approved && !this.of(line).approved && !this.of(line).redo);
    const others = this.lines.filter((line) => !this.of(line).redo && !this.of(line).approved && this.of(line).note.trim());
    return (
      `# Review of ${yaml(this.about.title)}: ${approved.length} approved, ${redo.length} to do again.\n` +
      "# msmd review OUT --import THIS_FILE   takes in what is approved and noted\n" +
      "# msmd batch THIS_FILE --out OUT       makes the lines again; edit as you like, an entry may say all that a line may\n" +
      `version: 1\nredo: ${yaml(this.about.manifest)}\n` +
      (part("lines", redo, (line, { keys, ...mark }) => ({ id: line.id, ...keys, ...noted(mark) })) || "lines: []\n") +
      part("approved", approved, (line, mark) => ({ id: line.id, ...taken(line), ...noted(mark) })) +
      part("withdrawn", withdrawn, (line, mark) => ({ id: line.id, ...noted(mark) })) +
      part("noted", others, (line, mark) => ({ id: line.id, ...noted(mark) }))
    );
  }
}
