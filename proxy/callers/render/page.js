
"use strict";
// Sorts and filters the table of callers, and copies new calls.
// Tests read the page as XML, so there is no "less than" and no "and" sign here.

const LONG = 200;  // A table with more rows shows the first ones, so that typing has an effect at once.
const FIRST_ROWS = 50;
const table = document.querySelector("table.callers");
const controls = document.querySelector(".controls");
const collator = new Intl.Collator("en", { numeric: true });
let entries = [];
let limit = Infinity;

// --- filter

function makeEntry(body, order) {
  const cells = [...body.rows[0].cells];
  const owner = cells.find(cell => cell.className === "o")?.textContent ?? "";
  const text = body.textContent.toLowerCase();
  return { body, order, cells, owner, state: body.className, text, isHidden: false };
}

function makeFilter() {
  const [search, owner, state] = [...controls.querySelectorAll("input, select")].map(field => field.value);
  const words = search.toLowerCase().split(/\s+/);
  return entry => {
    if ([entry.owner, ""].includes(owner) ? [entry.state, ""].includes(state) : false) {
      return words.every(word => entry.text.includes(word));
    }
    return false;
  };
}

function show() {
  const found = entries.filter(makeFilter());
  const shown = new Set(found.slice(0, limit));
  for (const entry of entries) {
    const isHidden = !shown.has(entry);
    if (isHidden !== entry.isHidden) {
      entry.isHidden = entry.body.hidden = isHidden;
    }
  }
  const isCut = found.length > limit;
  const first = isCut ? `, the first ${limit} are shown` : "";
  controls.querySelector("[role=status]").textContent = `${found.length} of ${entries.length}${first}`;
  controls.querySelector("button").hidden = !isCut;
}

function showAll() {
  limit = Infinity;
  show();
  controls.querySelector("input").focus();
}

function offer(select, values, label) {
  for (const value of new Set(values)) {
    select.add(new Option(label(value), value));
  }
  select.parentElement.hidden = 3 > select.options.length;
}

function startFilter() {
  const [owner, state] = controls.querySelectorAll("select");
  const owners = entries.map(entry => entry.owner).sort(collator.compare);
  offer(owner, owners, name => (name === "-" ? "without an owner" : name));
  const states = entries.map(entry => entry.state);
  offer(state, states, name => `${name} (${states.filter(each => each === name).length})`);
  controls.addEventListener("input", show);
  controls.addEventListener("change", show);
  controls.querySelector("button").addEventListener("click", showAll);
  controls.hidden = false;
}

// --- sort

const difference = (one, other) => one - other;
const SORTS = {
  number: { key: cell => Number(cell.textContent.replace(/[^0-9.]/g, "")), compare: difference, first: "descending" },
  order: { key: (cell, order) => order, compare: difference, first: "ascending" },
  text: { key: cell => cell.textContent, compare: collator.compare, first: "ascending" },
};

function sort(index, { key, compare }, isDescending) {
  const keyed = entries.map(entry => ({ entry, key: key(entry.cells[index], entry.order) }));
  const sign = isDescending ? -1 : 1;
  keyed.sort((one, other) => sign * compare(one.key, other.key) || one.entry.order - other.entry.order);
  entries = keyed.map(one => one.entry);
  table.append(...entries.map(entry => entry.body));
  show();
}

function startSort(head, index) {
  const kind = SORTS[head.dataset.sort];
  if (kind) {
    const button = makeButton(head.textContent, () => {
      const second = kind.first === "ascending" ? "descending" : "ascending";
      const order = head.ariaSort === kind.first ? second : kind.first;
      table.querySelector("[aria-sort]")?.removeAttribute("aria-sort");
      head.ariaSort = order;
      sort(index, kind, order === "descending");
    });
    head.replaceChildren(button);
  }
}

// --- details

function makeButton(text, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.addEventListener("click", act);
  return button;
}

function offerCopy(pre) {
  if (pre.nextElementSibling?.localName !== "button") {
    const button = makeButton("Copy the new call", async () => {
      await copy(pre);
      button.textContent = "Copied";
    });
    button.ariaLive = "polite";
    pre.after(button);
  }
}

// Over plain HTTP from another machine, browsers have no clipboard, but still the older command.
async function copy(pre) {
  try {
    await navigator.clipboard.writeText(pre.textContent);
  } catch {
    getSelection().selectAllChildren(pre);
    document.execCommand("copy");
    getSelection().removeAllRanges();
  }
}

// A click on a row opens it, unless it is on a link or ends a selection of text.
function openRow(event) {
  const row = event.target.closest("a, .more, thead") ? null : event.target.closest("tbody");
  const details = row?.querySelector("details");
  if (details ? getSelection().isCollapsed : false) {
    details.open = !details.open;
  }
}

if (controls) {
  entries = [...table.tBodies].map(makeEntry);
  limit = entries.length > LONG ? FIRST_ROWS : Infinity;
  [...table.tHead.rows[0].cells].forEach(startSort);
  table.addEventListener("toggle", event => event.target.querySelectorAll("pre").forEach(offerCopy), true);
  table.addEventListener("click", openRow);
  startFilter();
  show();
}
