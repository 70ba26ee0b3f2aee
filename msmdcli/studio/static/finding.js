// The list of lines: which are shown, and what has changed on disk.

import { counted, get } from "./api.js";
import { open } from "./line.js";
import { $, changed, page, say, trying } from "./page.js";

const MOST_CHOICES = 500; // of a filter
const FILTERS = [
  ["status", "any status", (line) => [line.status]],
  ["concern", "any concern", (line) => line.concerns.map((text) => text.replace(/[\d.]+/g, "").split(/[:(]/)[0].trim())],
  ["character", "any character", (line) => (line.character ? [line.character] : [])],
  ["style", "any style", (line) => [line.style]],
  ["language", "any language", (line) => (line.language ? [line.language] : [])],
  ["approved", "any approval", (line) => [line.approved ? "approved" : "not approved", ...(line.redone ? ["redone"] : [])]],
];

function filters() {
  const boxes = [];
  for (const [name, all, values] of FILTERS) {
    const found = new Set();
    for (const line of page.lines.values()) for (const value of values(line)) found.add(value);
    if (name === "approved") found.add("approved").add("not approved");
    if (!found.size || (found.size < 2 && name !== "concern")) continue;
    const before = document.querySelector(`#filters select[name=${name}]`)?.value;
    const box = document.createElement("select");
    box.name = name;
    box.setAttribute("aria-label", name);
    box.append(new Option(all, ""), ...[...found].sort().slice(0, MOST_CHOICES).map((value) => new Option(value, value)));
    if (before && found.has(before)) box.value = before;
    box.addEventListener("change", filter);
    boxes.push(box);
  }
  $("filters").replaceChildren(...boxes);
}

export function filter() {
  const asked = [...document.querySelectorAll("#filters select")]
    .filter((box) => box.value)
    .map((box) => [FILTERS.find(([name]) => name === box.name)[2], box.value]);
  page.list.filter($("search").value, (line) => asked.every(([values, value]) => values(line).includes(value)));
  counts();
}

export function counts() {
  let approved = 0;
  for (const line of page.lines.values()) approved += line.approved;
  const left = changed().length;
  $("count").textContent = `${page.list.shown.length} of ${page.lines.size} lines · ${approved} approved${left ? ` · ${left} changed` : ""}`;
  $("keepall").hidden = left < 2;
  $("keepall").textContent = `Keep all ${left}`;
}

export function showAll() {
  $("search").value = "";
  for (const box of document.querySelectorAll("#filters select")) box.value = "";
  filter();
}

export async function refresh(asked = get("lines")) {
  const { columns, rows, stamp } = await asked;
  page.stamp = JSON.stringify(stamp); // of the manifest that these lines are from
  const lines = rows.map((row) => {
    const line = {};
    for (let k = 0; k < columns.length; k += 1) line[columns[k]] = row[k];
    return line;
  });
  page.lines = new Map(lines.map((line) => [line.id, line]));
  page.list.fill(lines);
  filters();
  filter();
  if (page.current) page.list.choose(page.current);
}

export async function watch() {
  try {
    const now = await get("now");
    counted.requests -= 1;
    $("busy").hidden = !now.busy;
    if (page.writing || page.stamp === JSON.stringify(now.stamp)) return; // what this page writes itself it reads itself
    page.stamp = JSON.stringify(now.stamp); // a manifest that is wrong is told of once
    const read = await trying(() => refresh().then(() => true));
    if (page.writing) page.stamp = ""; // meanwhile; the next look does the rest
    else if (read) await open(page.lines.has(page.current) ? page.current : page.list.shown[0]?.id);
  } catch (error) {
    say(error.message);
  }
}
