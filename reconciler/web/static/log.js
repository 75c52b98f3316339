// A deployment's log, of any length: lines are here while they are near to what is looked at.
//
// The log is cut into boxes of 200 lines, each with its height from the start, so that the
// browser's own scrolling works. A box is filled when it comes near, and emptied when it leaves.

const { put } = await import(document.querySelector('script[src^="/static/page.js"]').src);

const log = document.querySelector("#log");
const form = document.querySelector("#log-find");
const field = form.querySelector("input");
const found = document.querySelector("#log-found");
const foot = document.querySelector("#log-foot");
const followButton = document.querySelector("#log-follow");
const wrapButton = document.querySelector("#log-wrap");
const announce = (detail) => document.dispatchEvent(new CustomEvent("announce", { detail }));

const size = 200;
const near = 4000; // pixels beyond what is seen
const most = 1000; // lines of one answer
const above = 3; // lines that stay in view above one that is gone to
const lineHeight = parseFloat(getComputedStyle(log).lineHeight);

/** Ask for some of the log; null where that was given up. */
async function ask(path, query, signal) {
  const address = `${log.dataset.log}${path}?${new URLSearchParams(query)}`;
  const answer = await fetch(address, { headers: { accept: "application/json" }, signal });
  if (!answer.ok) throw new Error(`the log: ${answer.status}`);
  return answer.json();
}

function make(kind, name, text) {
  const node = document.createElement(kind);
  node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

// ── Colours ──────────────────────────────────────────────────────────────────────────────────
// As `colours.py` does it for pages without a script: the tests hold both to the same cases.

const colours = ["a-d", "a-r", "a-g", "a-y", "a-b", "a-m", "a-c", ""];
const escapes = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?/g;
const controls = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Return the class of a colour of the palette; one of its own parts is shown as usual. */
function colourFrom(codes) {
  const kind = codes.shift() ?? 0;
  if (kind === 2) codes.splice(0, 3);
  const number = kind === 5 ? codes.shift() ?? -1 : -1;
  return number >= 0 && number < 16 ? colours[number % 8] : "";
}

/** Take up what a sequence of colours asks for. */
function takeUp(pen, parameters) {
  const codes = parameters.split(";").map((one) => (one.length < 4 ? Number(one || 0) : -1));
  while (codes.length) {
    const code = codes.shift();
    if (code === 0) Object.assign(pen, { colour: "", bold: false, faint: false });
    else if (code === 1) pen.bold = true;
    else if (code === 2) pen.faint = true;
    else if (code === 22) pen.bold = pen.faint = false;
    else if (code === 38) pen.colour = colourFrom(codes);
    else if (code === 39) pen.colour = "";
    else if (code === 48) colourFrom(codes);
    else if ((code >= 30 && code < 38) || (code >= 90 && code < 98)) pen.colour = colours[code % 10];
  }
}

/** Return what a line shows in the end, as pairs of text and classes. */
function runsOf(raw) {
  if (!/[\x00-\x1f\x7f-\x9f\u2000-\u20ff]/.test(raw)) return raw ? [[raw, ""]] : [];
  const line = raw.replace(/\r+$/, "").split("\r").at(-1);
  const pen = { colour: "", bold: false, faint: false };
  const runs = [];
  let end = 0;
  const add = (piece) => {
    const text = piece.replace(controls, "");
    const classes = [pen.colour || (pen.faint ? "a-d" : ""), pen.bold ? "a-1" : ""].filter(Boolean).join(" ");
    if (runs.length && runs.at(-1)[1] === classes) runs.at(-1)[0] += text;
    else if (text) runs.push([text, classes]);
  };
  for (const escape of line.matchAll(escapes)) {
    add(line.slice(end, escape.index));
    end = escape.index + escape[0].length;
    const colour = /^\x1b\[([0-9;]*)m$/.exec(escape[0]);
    if (colour) takeUp(pen, colour[1]);
  }
  add(line.slice(end));
  return runs;
}

// ── Lines ────────────────────────────────────────────────────────────────────────────────────

let needle = ""; // what is looked for, in small letters
let here = 0; // the line that was gone to
let firstError = Number(log.dataset.error ?? 0);
const stages = new WeakMap(); // line → its stage

/** Put text into a node, with what is looked for marked. */
function write(node, text) {
  const small = needle ? text.toLowerCase() : "";
  let end = 0;
  if (small.length === text.length)
    for (let at = small.indexOf(needle); at >= 0; at = small.indexOf(needle, end)) {
      node.append(text.slice(end, at), make("mark", "", text.slice(at, at + needle.length)));
      end = at + needle.length;
    }
  node.append(text.slice(end));
}

function lineNode([number, at, stage, text]) {
  const row = make("div", "ln");
  const link = make("a", "n");
  row.id = `L${number}`;
  row.classList.toggle("is-bad", number === firstError);
  row.classList.toggle("is-here", number === here);
  link.href = `#L${number}`;
  link.tabIndex = -1;
  link.dataset.n = number;
  link.setAttribute("aria-label", `Line ${number}`);
  stages.set(row, stage);
  const runs = runsOf(text);
  row.append(link, make("span", "t", at));
  // One of plain text needs no element of its own, and most are.
  const whole = runs.length === 1 && !runs[0][1] && !needle ? row : row.appendChild(make("span", "x"));
  for (const [said, classes] of runs) {
    if (classes) write(whole.appendChild(make("span", classes)), said);
    else write(whole, said);
  }
  return row;
}

/** Return nodes for lines after one of the stage ``before``; the first is named at the top. */
function* nodesOf(lines, before) {
  let stage = before;
  for (const line of lines) {
    if (stage && line[2] !== stage) yield make("div", "log-stage", line[2]);
    stage = line[2];
    yield lineNode(line);
  }
}

// ── Boxes ────────────────────────────────────────────────────────────────────────────────────

const boxes = new Map(); // number → box, in order
const now = log.appendChild(make("div", "log-stage is-now", "Log"));
let parts = []; // first and last number of each part that there is
let goal = null; // the box that is gone to

const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting, boundingClientRect } of entries) {
      const box = boxes.get(Number(target.dataset.k));
      if (!box || box.node !== target) continue;
      box.near = isIntersecting;
      if (isIntersecting) fill(box).catch(() => {});
      else empty(box, boundingClientRect.height);
    }
  },
  { root: log, rootMargin: `${near}px 0px` },
);

const lastLine = () => parts.at(-1)?.[1] ?? 0;
const boxOf = (number) => boxes.get(Math.floor((number - 1) / size));

function lengthOf(k) {
  const [from, to] = [k * size + 1, (k + 1) * size];
  return parts.reduce((sum, [first, last]) => sum + Math.max(0, Math.min(to, last) - Math.max(from, first) + 1), 0);
}

/** Have a box for all lines that there are, each as high as its lines. */
function layOut(wanted) {
  parts = wanted;
  for (const [k, box] of boxes) {
    const length = lengthOf(k);
    if (length === box.length) continue;
    if (length < box.length) {
      // Lines were left out since.
      empty(box);
    }
    const isShort = length < box.length;
    box.length = length;
    if (!length) {
      watcher.unobserve(box.node);
      box.node.remove();
      boxes.delete(k);
    } else fit(box);
    if (length && isShort && box.near) fill(box).catch(() => {});
  }
  for (const [first, last] of parts)
    for (let k = Math.floor((first - 1) / size); k <= Math.floor((last - 1) / size); k++)
      if (!boxes.has(k)) addBox(k);
  const count = parts.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  document.querySelector("#log-count").textContent = `${count.toLocaleString("en")} lines`;
}

function addBox(k) {
  const box = { k, node: make("div", "chunk"), length: lengthOf(k), lines: null, near: false, asked: null };
  box.node.dataset.k = k;
  boxes.set(k, box);
  fit(box);
  log.append(box.node);
  watcher.observe(box.node);
}

function fit(box) {
  box.node.style.height = box.lines ? "" : `${box.height ?? box.length * lineHeight}px`;
}

function empty(box, height = null) {
  box.abort?.abort();
  box.asked = null;
  if (!box.lines) return;
  box.height = height;
  box.lines = null;
  box.node.replaceChildren();
  fit(box);
}

function fill(box) {
  if (box.lines) return Promise.resolve();
  return (box.asked ??= read(box).catch((error) => {
    box.asked = null;
    // What is looked at is asked for until it is there.
    if (error.name !== "AbortError") setTimeout(() => box.near && !box.lines && fill(box).catch(() => {}), 3000);
    throw error;
  }));
}

async function read(box) {
  box.abort = new AbortController();
  const signal = box.abort.signal;
  box.late = [];
  const answer = await ask("", { from: box.k * size + 1, count: size }, signal);
  if (signal.aborted || !(box.near || box === goal)) return void (box.asked = null);
  box.before = answer.before;
  const last = answer.lines.at(-1)?.[0] ?? 0;
  box.lines = [...answer.lines, ...box.late.filter(([number]) => number > last)];
  draw(box);
  if (following) toEnd();
}

function draw(box) {
  box.node.replaceChildren(...nodesOf(box.lines, box.before));
  fit(box);
  tellStage();
}

function drawAll() {
  for (const box of boxes.values()) if (box.lines) draw(box);
}

/** Name the stage of the line at the top. */
let telling = 0;
function tellStage() {
  telling ||= requestAnimationFrame(() => {
    telling = 0;
    const row = topRow();
    if (row) now.textContent = stages.get(row) ?? "Log";
  });
}

function topRow() {
  const { left, top } = log.getBoundingClientRect();
  const at = document.elementFromPoint(left + 20, top + now.offsetHeight + 6);
  return at?.closest(".ln") ?? at?.nextElementSibling?.closest(".ln");
}

const numberOf = (row) => Number(row?.id.slice(1) ?? 0);

// ── Going somewhere ──────────────────────────────────────────────────────────────────────────

/** Show a line, with a few above it. */
async function go(number, mark = true) {
  const box = boxOf(number);
  if (!box) return;
  stopFollowing();
  goal = box;
  if (mark) setHere(number);
  const top = log.getBoundingClientRect().top;
  const lines = number - 1 - box.k * size;
  log.scrollTop += box.node.getBoundingClientRect().top - top + lines * lineHeight - (above + 1) * lineHeight;
  await fill(box).catch(() => {});
  const row = document.getElementById(`L${number}`);
  if (!row || goal !== box) return;
  log.scrollTop += row.getBoundingClientRect().top - top - now.offsetHeight - above * lineHeight;
  goal = null;
}

function setHere(number) {
  document.getElementById(`L${here}`)?.classList.remove("is-here");
  here = number;
  document.getElementById(`L${here}`)?.classList.add("is-here");
  history.replaceState(null, "", `${location.search}#L${number}`);
}

const lineNamed = (hash) => Number(/^#L(\d{1,9})$/.exec(hash)?.[1] ?? 0);

document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#L"]');
  const number = link && lineNamed(link.hash);
  if (!number || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (log.contains(link)) return setHere(number);
  log.scrollIntoView({ block: "center" });
  log.focus({ preventScroll: true });
  go(number);
});
addEventListener("hashchange", () => lineNamed(location.hash) && go(lineNamed(location.hash)));

// ── Following ────────────────────────────────────────────────────────────────────────────────

let running = "running" in log.dataset;
let following = false;
let unseen = 0; // lines that came while nobody followed
let lastTop = 0;

const fromEnd = () => log.scrollHeight - log.clientHeight - log.scrollTop;

function toEnd() {
  log.scrollTop = log.scrollHeight;
  lastTop = log.scrollTop;
}

function follow() {
  following = running;
  unseen = 0;
  goal = null;
  toEnd();
  tellFollowing();
}

function stopFollowing() {
  following = false;
  newest = Math.max(newest, [...boxes.values()].at(-1)?.lines?.at(-1)?.[0] ?? 0);
  tellFollowing();
}

function tellFollowing() {
  followButton.hidden = !running && !unseen;
  followButton.setAttribute("aria-pressed", String(following));
  const text = unseen ? `Follow, ${unseen.toLocaleString("en")} new` : "Follow";
  const label = followButton.querySelector("span");
  if (label.textContent !== text) label.textContent = text;
  foot.textContent = !running
    ? "/ finds in all lines; your browser’s own search sees those in view alone"
    : following
      ? "Following"
      : "Not following: it goes on below";
}

log.addEventListener(
  "scroll",
  () => {
    tellStage();
    // What is read stays where it is: whoever scrolls up is not taken down again.
    if (following && log.scrollTop < lastTop - 1 && fromEnd() > 2 * lineHeight) stopFollowing();
    else if (running && !following && log.scrollTop > lastTop && fromEnd() < 2) follow();
    lastTop = log.scrollTop;
  },
  { passive: true },
);
document.addEventListener("selectionchange", () => {
  const selection = getSelection();
  if (following && !selection.isCollapsed && log.contains(selection.anchorNode)) stopFollowing();
});
followButton.addEventListener("click", () => (following ? stopFollowing() : follow()));

// ── What comes ───────────────────────────────────────────────────────────────────────────────

let waiting = 0;
let looking = false;
let stage = "";
let newest = lastLine(); // that was seen; what came while its box was read comes once more

/** Ask for what came since; once it is shown, and again as long as more may come. */
async function look() {
  clearTimeout(waiting);
  if (looking || !running || document.hidden) return;
  looking = true;
  let pause = 3000;
  try {
    const answer = await ask("", { from: lastLine() + 1, count: most });
    take(answer);
    pause = answer.lines.length >= most ? 0 : 700;
    if (!answer.running && answer.lines.length < most) end(answer);
  } catch {
    foot.textContent = "The log can’t be read at the moment; it goes on by itself";
  }
  looking = false;
  if (running) waiting = setTimeout(look, pause);
}

function take(answer) {
  const fresh = answer.lines;
  const known = new Set(boxes.keys());
  layOut(answer.parts);
  let before = answer.before;
  for (const line of fresh) {
    const box = boxOf(line[0]);
    const begins = box && !known.has(box.k) && line[0] === box.k * size + 1;
    if (begins && !box.lines) Object.assign(box, { lines: [], before });
    if (box?.lines && (box.lines.at(-1)?.[0] ?? 0) < line[0]) {
      box.lines.push(line);
      box.node.append(...nodesOf([line], before));
      fit(box);
    } else if (box?.asked && !box.lines) box.late.push(line); // it came while the box was read
    before = line[2];
  }
  if (following) toEnd();
  else unseen += fresh.filter((line) => line[0] > newest).length;
  newest = Math.max(newest, fresh.at(-1)?.[0] ?? 0);
  if (fresh.length) tellFollowing();
  if (answer.stage && answer.stage !== stage && stage) announce(`${answer.stage} began`);
  stage = answer.stage;
}

function end(answer) {
  running = following = false;
  announce(`It has ended: ${answer.status}`);
  tellFollowing();
}

document.addEventListener("visibilitychange", look);

/** A verdict opens above the log: whoever reads that is asked before it moves. */
let offered = null; // the newest part that waits for it
document.addEventListener("turn", (event) => {
  const { old, part } = event.detail;
  const opens = part.querySelector(".verdict") && !old.querySelector(".verdict");
  const selection = getSelection();
  const reads = log.contains(document.activeElement) || (!selection.isCollapsed && log.contains(selection.anchorNode));
  if (old.id !== "progress" || !opens || !(reads || offered)) return;
  event.preventDefault();
  if (!offered) offer();
  offered = part;
});

function offer() {
  const note = make("p", "log-foot", "It has ended. ");
  const button = make("button", "btn btn-s", "Show how");
  button.type = "button";
  button.addEventListener("click", () => {
    note.remove();
    put(document.querySelector("#progress"), offered);
    offered = null;
    const verdict = document.querySelector("#progress h2");
    verdict.tabIndex = -1;
    verdict.focus();
  });
  note.append(button);
  foot.after(note);
}

// The page says where the first error is once it has ended.
document.addEventListener("part", ({ detail }) => {
  const link = detail.querySelector?.("a[data-error]");
  if (!link || firstError) return;
  firstError = Number(link.dataset.error);
  document.getElementById(`L${firstError}`)?.classList.add("is-bad");
});

// ── Finding ──────────────────────────────────────────────────────────────────────────────────

let hit = 0; // the line that it was found in last
let asked = 0;

/** Go on finding, one step after another, however fast they are asked for. */
let steps = Promise.resolve();
function seek(how = {}) {
  steps = steps.then(() => step(how)).catch(() => {});
}

async function step({ back = false, errors = false }) {
  const text = field.value;
  if (!text && !errors) return forget();
  const start = hit ? hit + (back ? 0 : 1) : Math.max(numberOf(topRow()), 1);
  const query = { from: errors ? here + 1 : start, back };
  const turn = ++asked;
  const answer = await ask("/find", errors ? { ...query, errors } : { ...query, text });
  if (turn !== asked) return;
  found.textContent = answer.count ? `${answer.place.toLocaleString("en")} of ${answer.count.toLocaleString("en")}` : "not found";
  if (!errors && needle !== text.toLowerCase()) {
    needle = text.toLowerCase();
    history.replaceState(null, "", `?${new URLSearchParams({ find: text })}`);
    drawAll();
  }
  hit = answer.line ?? 0;
  if (answer.line) await go(answer.line);
}

function forget() {
  asked++;
  hit = 0;
  found.textContent = "";
  if (!needle) return;
  needle = "";
  history.replaceState(null, "", location.pathname);
  drawAll();
}

let typing = 0;
field.addEventListener("input", () => {
  clearTimeout(typing);
  hit = 0;
  typing = setTimeout(seek, 250);
});
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  clearTimeout(typing);
  seek({ back: event.shiftKey });
});
form.addEventListener("submit", (event) => event.preventDefault());

// ── Keys, wrapping ───────────────────────────────────────────────────────────────────────────

function wrap() {
  const top = numberOf(topRow());
  const on = log.classList.toggle("is-wrap");
  wrapButton.setAttribute("aria-pressed", String(on));
  for (const box of boxes.values()) if (!box.lines) Object.assign(box, { height: null }), fit(box);
  if (following) toEnd();
  else if (top) go(top + above, false);
}

const keys = {
  f: () => (following ? stopFollowing() : follow()),
  w: wrap,
  g: () => (stopFollowing(), (log.scrollTop = 0)),
  G: () => follow(),
  e: () => seek({ errors: true }),
  n: () => seek(),
  N: () => seek({ back: true }),
};
log.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || "noKeys" in document.documentElement.dataset) return;
  if (keys[event.key]) keys[event.key]();
});
wrapButton.addEventListener("click", wrap);

/** Have the bar of the stage under way grow with its time. */
setInterval(() => {
  for (const bar of document.querySelectorAll("progress[data-began]"))
    bar.value = Math.min(98, (Date.now() - Date.parse(bar.dataset.began)) / 10 / Number(bar.dataset.usual));
}, 1000);

// ── How it opens ─────────────────────────────────────────────────────────────────────────────

wrapButton.hidden = false;
layOut(JSON.parse(log.dataset.parts));
if (lineNamed(location.hash)) go(lineNamed(location.hash));
else if (field.value) seek();
else if (running) follow();
else if (firstError) go(firstError, false);
tellFollowing();
look();
