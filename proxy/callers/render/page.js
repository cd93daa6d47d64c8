
"use strict";
// Sorts and filters the table, and copies new calls. Tests read the page as XML, so here are no "less than" and no "and" signs.
const table = document.querySelector("table.callers");
const controls = document.querySelector(".controls");
const most = 100;

function start() {
  const entries = [...table.tBodies].map((body, order) => ({ body, order, cells: body.rows[0].cells, words: body.textContent.toLowerCase() }));
  const [search, owner, state] = controls.querySelectorAll("input, select");
  const [status, all] = controls.querySelectorAll("[role=status], button");
  const owners = entries.map(entry => (entry.owner = column(entry, "o")));
  let limit = most;

  function column(entry, key) {
    return [...entry.cells].find(cell => cell.className === key)?.textContent ?? "";
  }

  function offer(select, values, label) {
    for (const value of values) {
      select.add(new Option(label(value), value));
    }
    select.parentElement.hidden = 2 > values.length;
  }

  function show() {
    const wanted = search.value.toLowerCase().split(/\s+/);
    let found = 0;
    for (const entry of entries) {
      const fits = [
        owner.value === "" || entry.owner === owner.value,
        state.value === "" || entry.body.className === state.value,
      ].every(Boolean);
      const hit = fits ? wanted.every(word => entry.words.includes(word)) : false;
      found += hit ? 1 : 0;
      const hidden = hit ? found > limit : true;
      if (hidden !== entry.hidden) {
        entry.hidden = entry.body.hidden = hidden;
      }
    }
    const first = found > limit ? `, the first ${limit} are shown` : "";
    status.textContent = `${found} of ${entries.length}${first}`;
    all.hidden = limit >= found;
  }

  function sort(index, kind, direction) {
    const collator = new Intl.Collator("en", { numeric: true });
    const text = entry => entry.cells[index].textContent;
    const keys = {
      number: entry => Number(text(entry).replace(/[^0-9.]/g, "")),
      order: entry => entry.order,
      text,
    };
    const order = kind === "text" ? collator.compare : (one, other) => one - other;
    const keyed = entries.map(entry => ({ entry, key: keys[kind](entry) }));
    keyed.sort((one, other) => direction * order(one.key, other.key) || one.entry.order - other.entry.order);
    entries.splice(0, entries.length, ...keyed.map(one => one.entry));
    table.append(...entries.map(entry => entry.body));
    show();
  }

  for (const [index, head] of [...table.tHead.rows[0].cells].entries()) {
    const kind = head.dataset.sort;
    if (kind) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const first = kind === "number" ? "descending" : "ascending";
        const second = kind === "number" ? "ascending" : "descending";
        const order = head.ariaSort === first ? second : first;
        table.tHead.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
        head.ariaSort = order;
        sort(index, kind, order === "ascending" ? 1 : -1);
      });
    }
  }

  const names = [...new Set(owners)].sort(new Intl.Collator("en").compare);
  offer(owner, names, name => (name === "-" ? "without an owner" : name));
  const states = [...new Set(entries.map(entry => entry.body.className))];
  offer(state, states, name => `${name} (${entries.filter(entry => entry.body.className === name).length})`);
  controls.addEventListener("input", show);
  controls.addEventListener("change", show);
  all.addEventListener("click", () => {
    limit = Infinity;
    show();
    search.focus();
  });
  table.addEventListener("toggle", event => event.target.querySelectorAll("pre").forEach(offerCopy), true);
  table.addEventListener("click", event => {
    const body = event.target.closest("tbody");
    if (body) {
      const isRow = event.target.closest("a, .more") === null;
      const details = body.querySelector("details");
      if (details ? (isRow ? getSelection().isCollapsed : false) : false) {
        details.open = !details.open;
      }
    }
  });
  controls.hidden = false;
  show();
}

function offerCopy(pre) {
  if (pre.nextElementSibling?.localName !== "button") {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy the new call";
    button.ariaLive = "polite";
    button.addEventListener("click", async () => {
      await copy(pre);
      button.textContent = "Copied";
    });
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

if (controls) {
  start();
}
