// The overview's rows: each is replaced alone when its project changes, and keeps its place until
// the reader has them sorted again.

const { inUse, later, put, refresh } = await import(document.querySelector('script[src^="/static/page.js"]').src);

const seenAfter = 5_000;
const lookEvery = 30_000;
const most = 50; // names in one address
const form = document.querySelector("form.filters");
const search = form?.querySelector("input[type=search]");

const listed = () => document.querySelector("#listed");
const rowsIn = (part) => [...part.querySelectorAll(".row[data-v]")];
const nameOf = (row) => row.id.slice(2);

// ── What changes ─────────────────────────────────────────────────────────────────────────────

let placed; // row → the group that it stands in
let moved; // names of those that belong elsewhere by now
let anew = false; // whether another list was asked for
const waits = new Set(); // names of those that changed while somebody was at work in them
const inView = new Set();

function begin() {
  placed = new Map(rowsIn(document).map((row) => [row.id, row.dataset.group]));
  moved = new Set();
  inView.clear();
  for (const row of rowsIn(document)) inSight.observe(row);
}

/** What changed is asked for by name; where that is too much, the whole page is. */
document.addEventListener("changed", (event) => {
  if (event.detail === "all" || event.detail.size > most || !listed().querySelector(".list")) return;
  const address = new URL(location.href);
  address.searchParams.set("rows", [...event.detail].join(","));
  event.address = address;
});

document.addEventListener("refreshed", ({ detail: page }) => {
  const fresh = page.querySelector("#listed");
  if (!fresh) return;
  if (!form && fresh.querySelector(".list")) return location.reload();
  if (anew || !listed().querySelector(".list")) {
    anew = false;
    put(listed(), fresh);
    begin();
    filter();
    return;
  }
  const out = new Set((fresh.dataset.out ?? "").split(" "));
  const every = new Set(rowsIn(fresh).map((row) => row.id));
  for (const row of rowsIn(fresh)) take(row, out.has(nameOf(row)));
  if (!("some" in fresh.dataset)) rowsIn(document).forEach((row) => every.has(row.id) || leave(row));
  tellMoved();
  tellCounts();
});

function take(row, out) {
  const old = document.getElementById(row.id);
  const name = nameOf(row);
  if (out || row.dataset.group !== placed.get(row.id)) {
    if (old || !out) moved.add(name);
  } else moved.delete(name);
  if (!old) return;
  if (old.dataset.v === row.dataset.v) return takeLook(old, row);
  if (inUse(old)) return waits.add(name);
  row.hidden = old.hidden;
  row.classList.add("is-changed");
  inSight.unobserve(old);
  put(old, row);
  inSight.observe(row);
}

/** When it was looked at is no change of a row. */
function takeLook(old, row) {
  const [now, fresh] = [old, row].map((one) => one.querySelector(".c-look"));
  const text = (cell) =>
    [cell.querySelector(".trouble")?.textContent, ...[...cell.querySelectorAll("time")].map((time) => time.dateTime)].join();
  if (text(now) !== text(fresh) && !inUse(now)) put(now, fresh);
}

/** A project that was removed leaves its row's room until the rows are sorted again. */
function leave(row) {
  moved.add(nameOf(row));
  row.classList.add("is-gone");
}

function tellMoved() {
  const link = document.querySelector("#again");
  const said = moved.size === 1 ? "1 row has moved" : `${moved.size} rows have moved`;
  link.textContent = `${said}: sort again`;
  link.hidden = !moved.size;
}

function tellCounts() {
  for (const head of document.querySelectorAll(".group-head")) {
    const count = document.querySelector(`#counts [data-of="${head.dataset.of}"] .num`);
    if (count) head.querySelector(".num").textContent = count.textContent;
  }
}

/** What waited for somebody to leave its row. */
function afterUse() {
  for (const name of waits) {
    const row = document.getElementById(`p-${name}`);
    if (row && inUse(row)) continue;
    waits.delete(name);
    later(name);
  }
}
document.addEventListener("left", afterUse);

// ── What is in view ──────────────────────────────────────────────────────────────────────────

/** A row that changed keeps its mark until it was seen for a while. */
const inSight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) inView.add(target.id);
    else inView.delete(target.id);
    if (isIntersecting && target.classList.contains("is-changed"))
      setTimeout(() => inView.has(target.id) && target.classList.remove("is-changed"), seenAfter);
  }
});

setInterval(() => {
  if (!document.hidden) for (const id of [...inView].slice(0, most)) later(id.slice(2));
}, lookEvery);

// ── Finding ──────────────────────────────────────────────────────────────────────────────────

let found = search?.value ?? ""; // what the server looked for: no more rows are here
let asking = 0;

function addressOfForm() {
  const given = [...new FormData(form)].filter(([name, value]) => value && !(name === "sort" && value === "attention"));
  return given.length ? `/?${new URLSearchParams(given)}` : "/";
}

/** Have the server find what is not among the rows that are here. */
function askAnew() {
  found = search.value;
  anew = true;
  refresh(location.href);
}

function filter() {
  if (!search) return;
  const wanted = search.value.trim().toLowerCase();
  let shown = 0;
  for (const row of rowsIn(document)) {
    row.hidden = Boolean(wanted) && !textOf(row).includes(wanted);
    shown += !row.hidden;
  }
  for (const head of document.querySelectorAll(".group-head")) {
    let next = head.nextElementSibling;
    while (next?.hidden) next = next.nextElementSibling;
    head.hidden = !next?.matches(".row");
  }
  const none = document.querySelector("#none");
  if (none) none.hidden = Boolean(shown) || !document.querySelector(".list");
}

function textOf(row) {
  const titles = [...row.querySelectorAll(".chip[title], .imgs[title]")].map((node) => node.title);
  return `${row.textContent} ${titles.join(" ")}`.toLowerCase();
}

search?.addEventListener("input", () => {
  history.replaceState(null, "", addressOfForm());
  clearTimeout(asking);
  const here = search.value.toLowerCase().includes(found.toLowerCase()) && !document.querySelector(".after");
  if (here) filter();
  else asking = setTimeout(askAnew, 250);
});

form?.addEventListener("change", (event) => {
  if (!event.target.matches("select")) return;
  history.replaceState(null, "", addressOfForm());
  askAnew();
});

// ── Keys ─────────────────────────────────────────────────────────────────────────────────────

document.addEventListener("keydown", (event) => {
  const letters = "noKeys" in document.documentElement.dataset ? {} : { j: 1, k: -1 };
  const inList = document.activeElement.closest(".list");
  const step = { ...letters, ...(inList ? { ArrowDown: 1, ArrowUp: -1 } : {}) }[event.key];
  const busy = event.target.closest("input, select, textarea") || document.querySelector("dialog[open]");
  if (!step || busy || event.ctrlKey || event.metaKey || event.altKey) return;
  const names = [...document.querySelectorAll(".row:not([hidden]) .name")];
  const at = names.indexOf(document.activeElement.closest(".row")?.querySelector(".name"));
  const next = names[at + step] ?? (at < 0 ? names[0] : null);
  if (!next) return;
  event.preventDefault();
  next.focus();
});

if (listed()) begin();
