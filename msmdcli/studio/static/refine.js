// The controls of a line, made from the manifest's schema: a key that is added to the schema appears here by itself.

const SLIDER_MOST = 100; // a number that may be larger gets a field without a slider
const SYNONYMS = ["yes", "no", "true", "false"];
const make = (name, properties = {}, ...inside) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...inside);
  return made;
};

function options(schema) {
  return (schema.anyOf ?? [schema]).flatMap((one) => (one.anyOf ? options(one) : [one])).filter((one) => one.type !== "null");
}

// What a key may be: a mix of styles, one per region, a number, one per part, values of channels, words, words or a number,
// a text, or anything else as JSON.
export function kindOf(schema) {
  const found = options(schema);
  if (found.some((one) => one.$ref?.endsWith("/style"))) return { kind: "style" };
  if (found.some((one) => one.$ref?.endsWith("/regions"))) return { kind: "regions" };
  if (found.some((one) => Array.isArray(one.type) && one.type.includes("object") && one.type.includes("array"))) return { kind: "channels" };
  const number = found.find((one) => one.type === "number" || one.type === "integer");
  const words = found.filter((one) => one.enum).flatMap((one) => one.enum);
  const spelled = [...new Set(words.filter((word) => typeof word === "string").map((word) => word.toLowerCase()))];
  const plain = spelled.filter((word) => !SYNONYMS.includes(word));
  const bounds = number && {
    low: number.minimum ?? number.exclusiveMinimum ?? 0,
    high: number.maximum ?? number.exclusiveMaximum ?? Infinity,
    whole: number.type === "integer",
  };
  const chosen = plain.length ? plain : spelled;
  const parts = Object.entries(found.find((one) => one.type === "object" && one.properties)?.properties ?? {});
  if (number && parts.length) return { kind: "amounts", parts: parts.map(([name]) => name).filter((name) => name !== "all"), ...bounds };
  if (number && chosen.length) return { kind: "either", words: chosen, ...bounds };
  if (number && !found.some((one) => one.exclusiveMinimum !== undefined && found.length > 1)) return { kind: "number", ...bounds };
  if (chosen.length) return { kind: "words", words: chosen };
  if (found.some((one) => [one.type].flat().includes("string"))) return { kind: "text" };
  return { kind: "json" };
}

export class Refine {
  constructor(box, about, { onInput, onCommit }) {
    this.box = box;
    this.about = about;
    this.onInput = onInput; // (key, value): while a slider moves
    this.onCommit = onCommit; // (key, value): one step of undo
    this.opened = false;
    this.apart = new Set(); // keys whose parts have controls of their own
    this.use(about.keys);
  }

  // The keys that have controls.
  use(keys) {
    if (this.keys === keys) return;
    this.keys = keys;
    const names = Object.keys(keys);
    const kinds = new Map(names.map((name) => [name, kindOf(keys[name])]));
    const simple = (name) => kinds.get(name).kind !== "json";
    const { first, later } = this.about; // keys that come first; keys that come last, behind "More", as lists do
    const waits = (name) => !simple(name) || later.includes(name);
    this.order = [...first.filter((name) => kinds.has(name) && !waits(name)), ...names.filter((name) => !waits(name) && !first.includes(name))];
    this.later = names.filter(waits);
    this.kinds = kinds;
  }

  // own: what the line says itself, with what was changed; inherited: what it gets from elsewhere.
  show(own, inherited, fixed, keys = this.keys) {
    this.use(keys);
    this.shown = [own, inherited, fixed, keys];
    const focus = this.box.contains(document.activeElement) && document.activeElement;
    const again = focus && [focus.closest(".key")?.dataset.key, focus.getAttribute("aria-label")];
    this.own = own;
    this.inherited = inherited;
    const names = [...this.order, ...this.later];
    const signs = new Map(names.map((name) => [name, this.sign(name, fixed)]));
    const part = (name) => {
      const row = this.key(name, fixed);
      for (const happens of ["input", "change", "click"]) row.addEventListener(happens, () => this.signs.delete(name)); // what it shows is not what was said
      return row;
    };
    if (this.rows?.keys === this.keys && this.rows.found.get(names[0])?.isConnected) {
      for (const name of names) {
        if (this.signs.get(name) === signs.get(name)) continue; // it says what it said
        const row = part(name);
        this.rows.found.get(name).replaceWith(row);
        this.rows.found.set(name, row);
      }
      this.signs = signs;
      return this.refocus(again);
    }
    this.signs = signs;
    const found = new Map(names.map((name) => [name, part(name)]));
    this.rows = { keys: this.keys, found };
    const more = make("details", { open: this.opened }, make("summary", { textContent: `More: ${this.later.join(", ").replaceAll("_", " ")}` }), make("div", {}, ...this.later.map((name) => found.get(name))));
    more.addEventListener("toggle", () => (this.opened = more.open));
    this.box.replaceChildren(...this.order.map((name) => found.get(name)), ...(this.later.length ? [more] : []));
    this.refocus(again);
  }

  // Keys go on where they were.
  refocus(again) {
    const now = again && this.box.querySelector(`[data-key="${again[0]}"] [aria-label="${again[1]}"]`);
    if (now && now !== document.activeElement) now.focus();
  }

  // All that decides what a key's controls show.
  sign(name, fixed) {
    return JSON.stringify([this.own[name], this.inherited[name], fixed, this.apart.has(name), this.styles.length]);
  }

  key(name, fixed) {
    const schema = this.keys[name];
    const own = this.own[name] !== undefined && this.own[name] !== null;
    const value = own ? this.own[name] : this.inherited[name];
    const label = make("label", { className: "label", textContent: name.replaceAll("_", " "), title: schema.description ?? "" });
    const reset = make("button", { className: "reset", textContent: "reset", title: "As the character or the manifest has it" });
    reset.addEventListener("click", () => this.onCommit(name, null));
    const kind = this.kinds.get(name);
    const body = make("div", { className: "body" }, ...this[kind.kind](name, value, kind));
    const row = make("div", { className: own ? "key own" : "key" }, label, reset, body);
    row.dataset.key = name;
    if (fixed) for (const one of row.querySelectorAll("input, select, button, textarea")) one.disabled = true;
    return row;
  }

  number(name, value, { low, high, whole }) {
    const usual = this.about.usual[name];
    const shown = typeof value === "number" ? value : usual ?? "";
    const field = make("input", { type: "number", value: shown, min: low, step: whole ? 1 : "any" });
    if (Number.isFinite(high)) field.max = high;
    field.setAttribute("aria-label", name);
    field.addEventListener("change", () => this.onCommit(name, field.value === "" ? null : field.valueAsNumber));
    if (name === "seed") {
      const other = make("button", { textContent: "Another take", title: "Another seed (N)" });
      other.addEventListener("click", () => this.onCommit(name, (typeof value === "number" ? value : 0) + 1));
      return [make("div", { className: "pair" }, other, field)];
    }
    if (!(high <= SLIDER_MOST)) return [field];
    const slider = make("input", { type: "range", min: low, max: high, step: whole ? 1 : (high - low) / 200 });
    slider.value = shown === "" ? low : shown;
    slider.setAttribute("aria-label", name);
    slider.addEventListener("input", () => {
      field.value = slider.value;
      this.live(name, slider.valueAsNumber);
    });
    slider.addEventListener("change", () => this.onCommit(name, +slider.valueAsNumber.toFixed(3)));
    return [make("div", { className: "pair" }, slider, field)];
  }

  // One factor for all, or one for each part.
  amounts(name, value, kind) {
    const given = value !== null && typeof value === "object";
    const all = given ? (value.all ?? 1) : typeof value === "number" ? value : 1;
    if (!given && !this.apart.has(name)) {
      const parts = make("button", { className: "reset apart", textContent: "by part" });
      parts.addEventListener("click", () => {
        this.apart.add(name);
        this.show(...this.shown);
      });
      return [...this.number(name, all, kind), parts];
    }
    const now = Object.fromEntries(kind.parts.map((part) => [part, (given ? value[part] : undefined) ?? all]));
    const said = () => Object.fromEntries(Object.entries(now).filter(([, factor]) => factor !== 1));
    return kind.parts.map((part) => this.row(part, now[part], [kind.low, kind.high], (factor, commit) => {
      now[part] = factor;
      const left = said();
      (commit ? this.onCommit : this.onInput)(name, Object.keys(left).length ? left : commit ? null : now);
    }));
  }

  // A name, a slider and a number.
  row(label, value, [low, high], tell) {
    const slider = make("input", { type: "range", min: low, max: high, step: (high - low) / 200 });
    const field = make("input", { type: "number", value, min: low, max: high, step: "any" });
    slider.value = value;
    for (const one of [slider, field]) one.setAttribute("aria-label", typeof label === "string" ? label : label.value);
    slider.addEventListener("input", () => {
      field.value = +slider.valueAsNumber.toFixed(3);
      tell(+slider.valueAsNumber.toFixed(3), false);
    });
    slider.addEventListener("change", () => tell(+slider.valueAsNumber.toFixed(3), true));
    field.addEventListener("change", () => field.value !== "" && tell(field.valueAsNumber, true));
    return make("div", { className: "row3" }, typeof label === "string" ? make("span", { textContent: label }) : label, slider, field);
  }

  choice(names, value, label) {
    const box = make("select", {}, ...[...new Set([...names, value])].map((name) => make("option", { value: name, textContent: name })));
    box.value = value;
    box.setAttribute("aria-label", label);
    return box;
  }

  // Values of channels and regions.
  channels(name, value) {
    if (!value || Array.isArray(value)) return [make("span", { className: "quiet", textContent: value ? value.join(", ") : "none" })];
    const pairs = Object.entries(value);
    const told = (commit) => (commit ? this.onCommit : this.onInput)(name, Object.fromEntries(pairs));
    const rows = pairs.map((pair) => {
      const box = this.choice(this.about.groups, pair[0], "channel");
      box.addEventListener("change", () => {
        pair[0] = box.value;
        pair[1] = this.about.valueNow?.(box.value) ?? 0;
        told(true);
      });
      return this.row(box, pair[1], this.about.limits[pair[0]] ?? [0, 1], (number, commit) => {
        pair[1] = number;
        told(commit);
      });
    });
    return [...rows, this.adder("Another channel", () => {
      const next = this.about.groups.find((group) => !pairs.some(([used]) => used === group) && this.about.limits[group]);
      pairs.push([next, this.about.valueNow?.(next) ?? 0]);
      told(true);
    }, pairs.length > 1 ? () => {
      pairs.pop();
      told(true);
    } : null)];
  }

  // A style for each region.
  regions(name, value) {
    const pairs = Object.entries(value ?? {});
    const told = () => this.onCommit(name, pairs.length ? Object.fromEntries(pairs) : null);
    const rows = pairs.map((pair, k) => {
      const region = this.choice(this.about.groups, pair[0], `region ${k + 1}`);
      region.addEventListener("change", () => {
        pair[0] = region.value;
        told();
      });
      const plain = typeof pair[1] === "string";
      const style = this.choice(plain ? this.styles : [], plain ? pair[1] : JSON.stringify(pair[1]), `style of ${pair[0]}`);
      style.disabled = !plain;
      style.addEventListener("change", () => {
        pair[1] = style.value;
        told();
      });
      const away = make("button", { textContent: "×", title: "Take away" });
      away.addEventListener("click", () => {
        pairs.splice(k, 1);
        told();
      });
      return make("div", { className: "mix" }, region, style, away);
    });
    return [...rows, this.adder("A style for a region", () => {
      const next = ["brows", "upper", "eyes", "mouth", ...this.about.groups].find((group) => this.about.groups.includes(group) && !pairs.some(([used]) => used === group));
      pairs.push([next, "neutral"]);
      told();
    })];
  }

  adder(text, add, take) {
    const more = make("button", { textContent: text });
    more.addEventListener("click", add);
    const less = take && make("button", { textContent: "Fewer" });
    less?.addEventListener("click", take);
    return make("div", {}, more, ...(less ? [" ", less] : []));
  }

  get styles() {
    return [...this.about.tags, ...(this.about.takes ?? []), "none"];
  }

  live(name, value) {
    this.onInput(name, +value.toFixed(3));
  }

  words(name, value, { words }) {
    const chosen = String(value ?? "").toLowerCase();
    const box = make("select", {}, make("option", { value: "", textContent: "as usual" }), ...words.map((word) => make("option", { value: word, textContent: word })));
    if (chosen && !words.includes(chosen)) box.append(make("option", { value: chosen, textContent: chosen }));
    box.value = chosen;
    box.setAttribute("aria-label", name);
    box.addEventListener("change", () => this.onCommit(name, box.value || null));
    return [box];
  }

  either(name, value, kind) {
    const [box] = this.words(name, typeof value === "number" ? "number" : value, { words: [...kind.words, "number"] });
    const fresh = box.cloneNode(true); // without the listener of plain words
    fresh.value = typeof value === "number" ? "number" : String(value ?? "").toLowerCase();
    fresh.addEventListener("change", () => {
      const middle = kind.high <= 2 * (1 + kind.low) && kind.low <= 1 ? 1 : Math.round((kind.low + Math.min(kind.high, SLIDER_MOST)) / 2);
      this.onCommit(name, fresh.value === "number" ? Math.min(middle, kind.high) : fresh.value || null);
    });
    return typeof value === "number" ? [fresh, ...this.number(name, value, kind)] : [fresh];
  }

  text(name, value) {
    const field = make("input", { value: Array.isArray(value) ? value.join(", ") : value ?? "" });
    field.setAttribute("aria-label", name);
    field.addEventListener("change", () => {
      const text = field.value.trim();
      this.onCommit(name, text === "" ? null : Number.isFinite(+text) ? +text : text);
    });
    return [field];
  }

  json(name, value) {
    const field = make("textarea", { value: value === undefined || value === null ? "" : JSON.stringify(value, null, 1), spellcheck: false });
    field.setAttribute("aria-label", name);
    field.addEventListener("change", () => {
      field.setCustomValidity("");
      if (!field.value.trim()) return this.onCommit(name, null);
      try {
        this.onCommit(name, JSON.parse(field.value));
      } catch (error) {
        field.setCustomValidity(`not JSON: ${error.message}`);
        field.reportValidity();
      }
    });
    return [field];
  }

  style(name, value) {
    const given = value === undefined || value === null ? [{ ref: "neutral" }] : Array.isArray(value) ? value : [value];
    const parts = given.map((one) => (typeof one === "object" ? { ref: String(one.ref), weight: one.weight ?? 1 } : { ref: String(one), weight: 1 }));
    const told = (commit) => {
      const left = parts.filter((part) => part.weight > 0);
      const mix = left.length === 1 ? left[0].ref : left.map(({ ref, weight }) => ({ ref, weight: +weight.toFixed(3) }));
      if (left.length) (commit ? this.onCommit : this.onInput)(name, mix);
    };
    const tags = this.styles;
    const rows = parts.map((part, i) => {
      const box = make("select", {}, ...[...new Set([...tags, part.ref])].map((tag) => make("option", { value: tag, textContent: tag })));
      box.value = part.ref;
      box.setAttribute("aria-label", `style ${i + 1}`);
      box.addEventListener("change", () => {
        part.ref = box.value;
        told(true);
      });
      if (parts.length === 1) return make("div", {}, box);
      const slider = make("input", { type: "range", min: 0, max: 1, step: 0.01 });
      const most = Math.max(1, ...parts.map((one) => one.weight));
      slider.value = part.weight / most;
      slider.setAttribute("aria-label", `share of ${part.ref}`);
      slider.addEventListener("input", () => {
        part.weight = slider.valueAsNumber;
        told(false);
      });
      slider.addEventListener("change", () => told(true));
      const away = make("button", { textContent: "×", title: "Take away" });
      away.addEventListener("click", () => {
        parts.splice(i, 1);
        told(true);
      });
      return make("div", { className: "mix" }, box, slider, away);
    });
    const add = make("button", { textContent: "Mix with another" });
    add.addEventListener("click", () => {
      const next = tags.find((tag) => tag !== "none" && !parts.some((part) => part.ref === tag));
      parts.push({ ref: next ?? "neutral", weight: 0.5 });
      told(true);
    });
    return [...rows, make("div", {}, add)];
  }
}
