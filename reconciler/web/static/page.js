// What makes the pages live; all of them work without it.
//
// A page is the truth of the moment that it was made at. What changes later is told by one stream
// of events; then the page is asked for again, and each part of it (`data-part`, with an id) that
// differs takes the old one's place. So a part has one template, and one way to be made.

const root = document.documentElement;
const main = document.querySelector("#main");
const longest = 20_000; // ms that a page may take
const policy = window.trustedTypes?.createPolicy("fragment", { createHTML: (text) => text });

/** Return a page of ours, inert: nothing of it runs. */
export async function read(address) {
  const signal = AbortSignal.timeout(longest);
  const answer = await fetch(address, { headers: { accept: "text/html" }, redirect: "follow", signal });
  if (answer.status >= 500) throw new Error(`${address}: ${answer.status}`);
  const isOut = new URL(answer.url).pathname === "/sign-in";
  sayWhetherIn(!isOut);
  if (isOut) throw new Error("signed out");
  const text = await answer.text();
  const page = new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, "text/html");
  heed(page);
  return page;
}

// ── What is said above the page ──────────────────────────────────────────────────────────────

let signedOut = false;

/** Say something at the top, in the dialog that is open if one is; the same thing once. */
function say(kind, title, text, address, act) {
  if (document.getElementById(`said-${kind}`)) return;
  const note = document.createElement("div");
  note.id = `said-${kind}`;
  note.className = "note hold came";
  note.tabIndex = -1;
  note.setAttribute("role", "status");
  const [strong, link] = [document.createElement("strong"), document.createElement("a")];
  strong.textContent = title;
  link.href = address;
  link.textContent = act;
  if (kind === "out") link.target = "_blank";
  const words = document.createElement("div");
  words.append(strong, ` ${text} `, link);
  note.append(words);
  (document.querySelector("dialog[open]") ?? main).prepend(note);
}

/** A session that ended takes nothing away that was typed: signing in beside it makes it good. */
function sayWhetherIn(isIn) {
  if (isIn) document.getElementById("said-out")?.remove();
  else if (!signedOut) {
    const at = new Date().toLocaleTimeString("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit" });
    const text = "What you see is from then. Your text is kept.";
    say("out", `You were signed out at ${at}.`, text, "/sign-in", "Sign in to go on");
  }
  signedOut = !isIn;
}

/** Take from a page that was read anew what all of them carry: the form token, and the version. */
function heed(page) {
  const token = page.querySelector("input[name=form_token]")?.value;
  if (token) for (const field of document.querySelectorAll("input[name=form_token]")) field.value = token;
  const { version } = page.documentElement.dataset;
  if (version && root.dataset.version && version !== root.dataset.version)
    say("new", `reconciler was updated to ${version.split(" ")[0]}.`, "", location.href, "Reload");
}

// ── Times ────────────────────────────────────────────────────────────────────────────────────

const zone = root.dataset.zone;
const day = 86_400;

/** Return how long ago, or in how long, as people say it; null: the exact form says it better. */
function relative(at, now) {
  const seconds = Math.round((now - at) / 1000);
  const past = seconds >= 0;
  const size = Math.abs(seconds);
  const say = (text) => (past ? `${text} ago` : `in ${text}`);
  if (past && size < 60) return document.body.dataset.page === "deployments" ? `${size} s ago` : "just now";
  if (size < 60) return `in ${size} s`;
  if (size < 3600) return say(`${Math.floor(size / 60)} min`);
  if (size < 1.5 * day) return say(`${Math.floor(size / 3600)} h`);
  if (size < 14 * day) return say(`${Math.floor(size / day)} d`);
  return null;
}

function tell(node, now) {
  node.dataset.exact ??= node.textContent;
  const exact = "exact" in root.dataset || "record" in node.dataset;
  const text = exact ? null : relative(Date.parse(node.dateTime), now);
  const wanted = text ?? node.dataset.exact;
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** Count up what goes on: `data-since` holds when it began. */
function count(node, now) {
  const seconds = Math.max(0, Math.floor((now - Date.parse(node.dataset.since)) / 1000));
  if (node.tagName === "PROGRESS") return (node.value = Math.min(seconds, node.max * 0.98));
  const pad = (value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const text = hours ? `${hours}:${pad(minutes)}:${pad(seconds % 60)}` : `${minutes}:${pad(seconds % 60)}`;
  if (node.textContent !== text) node.textContent = text;
}

const inView = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    target.toggleAttribute("data-seen", isIntersecting);
    if (isIntersecting) tell(target, Date.now());
  }
});

/** Have the times of a part told, as long as they are in view. */
function watchTimes(part) {
  for (const node of part.querySelectorAll("time")) inView.observe(node);
}

function tellTimes() {
  const now = Date.now();
  for (const node of document.querySelectorAll("time[data-seen]")) tell(node, now);
}

/** Whoever touches a time sees all of them in full, and as they were at the next touch. */
document.addEventListener("click", (event) => {
  if (!event.target.closest("time") || event.target.closest("button, summary, label")) return;
  root.toggleAttribute("data-exact");
  tellTimes();
});

function tick() {
  if (document.hidden) return;
  const now = Date.now();
  for (const node of document.querySelectorAll("[data-since]")) count(node, now);
  for (const node of document.querySelectorAll("#strip time[data-seen]")) tell(node, now);
}

// ── Live ─────────────────────────────────────────────────────────────────────────────────────

const hiddenFor = 20_000;
const silentFor = 40_000; // a beat comes every 15 seconds
let stream = null;
let position = root.dataset.position;
let heardAt = Date.now();
let openedAt = 0;
let closing = 0;
let notLiveSince = null;
let asked = null; // what is to be read anew: null, "all", or the names of projects
const kept = new Set(); // ids of parts that differ, and stay as they are while somebody is at work in them

let pressed = null; // what a pointer is down on: were it exchanged now, it would miss its click

/** Tell whether a person is at work in it: then it waits until they have left. */
export function inUse(part) {
  if (pressed && part.contains(pressed)) return true;
  const selection = getSelection();
  const selected = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  const focused = part !== main && part.contains(document.activeElement) && part.matches(":focus-within");
  return selected || focused || [...part.querySelectorAll("form")].some(wasTyped);
}

/** Read anew what waited for somebody to leave it. */
function afterUse() {
  for (const id of kept) {
    const part = document.getElementById(id);
    if (part && inUse(part)) continue;
    kept.delete(id);
    later("all");
  }
}
document.addEventListener("left", afterUse);

/** Tell what waits that somebody may have left it; what they do last, such as a click, comes first. */
const leave = () => setTimeout(() => document.dispatchEvent(new Event("left")));
const release = () => {
  pressed = null;
  leave();
};
document.addEventListener("focusout", leave);
document.addEventListener("selectionchange", leave);
document.addEventListener("pointerdown", (event) => (pressed = event.target), true);
document.addEventListener("pointerup", release, true);
document.addEventListener("pointercancel", release, true);
document.addEventListener("contextmenu", release, true); // the menu has the rest of that press

/** Put a part that was read anew in the old one's place; what a person opened stays open. */
export function put(old, fresh) {
  const adopted = document.adoptNode(fresh);
  for (const open of old.querySelectorAll("details[open][data-k]")) {
    adopted.querySelector(`details[data-k="${CSS.escape(open.dataset.k)}"]`)?.setAttribute("open", "");
  }
  old.replaceWith(adopted);
  watchTimes(adopted);
  document.dispatchEvent(new CustomEvent("part", { detail: adopted }));
}

/** What a part is, told apart from another; the times that the script wrote are no difference. */
function contentOf(part) {
  const clone = part.cloneNode(true);
  for (const node of clone.querySelectorAll("time")) node.textContent = node.dateTime;
  clone.querySelector("#live")?.remove();
  for (const node of clone.querySelectorAll("[data-since]")) node.textContent = "";
  return clone.innerHTML.replace(/ data-(seen|exact)="[^"]*"| open=""/g, "");
}

export async function refresh(address = location.href) {
  let fresh;
  try {
    fresh = await read(address);
  } catch {
    return tryAgain();
  }
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const old = document.getElementById(part.id);
    if (!old) continue;
    if (contentOf(old) === contentOf(part)) continue;
    const turn = new CustomEvent("turn", { detail: { old, part }, cancelable: true });
    if (inUse(old)) kept.add(part.id);
    else if (document.dispatchEvent(turn)) put(old, part);
  }
  // What answers instead, such as that there is no such page, has a title of its own.
  const isSame = fresh.body.dataset.page === document.body.dataset.page;
  if (isSame && fresh.title && document.title !== fresh.title) {
    const [needed, need] = [document.title, fresh.title].map((title) => Number(/^\((\d+)\)/.exec(title)?.[1] ?? 0));
    if (need > needed) announce(need === 1 ? "1 project needs a person" : `${need} projects need a person`);
    document.title = fresh.title;
    const icon = fresh.querySelector('link[rel="icon"]');
    if (icon) document.querySelector('link[rel="icon"]')?.replaceWith(document.adoptNode(icon));
  }
  if (!stream && !again) whileShown();
  showLive();
  document.dispatchEvent(new CustomEvent("refreshed", { detail: fresh }));
}

/** Read what changed anew, once for all that happens within a moment. */
let waiting = 0;
let reading = false;
export function later(what) {
  if (what === "all" || asked === "all") asked = "all";
  else (asked ??= new Set()).add(what);
  if (waiting || reading) return;
  waiting = setTimeout(async () => {
    waiting = 0;
    reading = true;
    const wanted = asked;
    asked = null;
    const own = new CustomEvent("changed", { detail: wanted, cancelable: true });
    // A page may have a smaller address for what changed.
    try {
      if (document.dispatchEvent(own)) await refresh(own.address);
    } finally {
      reading = false;
    }
    if (asked) later(asked === "all" ? "all" : [...asked][0]);
  }, 150);
}

/** What was not answered is asked again soon, by each tab at a moment of its own. */
let again = 0;
function tryAgain() {
  again ||= setTimeout(() => {
    again = 0;
    if (document.hidden) return;
    later("all");
    whileShown();
  }, 4000 + Math.random() * 2000);
}

function showLive() {
  const node = document.querySelector("#live");
  if (!node) return;
  node.classList.toggle("is-still", false);
  node.classList.toggle("is-stale", Boolean(notLiveSince));
  node.textContent = notLiveSince
    ? `Not live since ${notLiveSince.toLocaleTimeString("en-GB", { timeZone: zone === "UTC" ? undefined : zone })}`
    : "Live";
}

function alive() {
  heardAt = Date.now();
  if (notLiveSince) later("all");
  notLiveSince = null;
  showLive();
}

function silent() {
  notLiveSince ??= new Date(heardAt);
  showLive();
}

function open() {
  if (stream || !position) return;
  const query = new URLSearchParams({ after: position });
  if (root.dataset.project) query.set("project", root.dataset.project);
  stream = new EventSource(`/api/v1/events?${query}`);
  openedAt = Date.now();
  const on = (kind, act) =>
    stream.addEventListener(kind, (event) => {
      if (event.lastEventId) position = event.lastEventId;
      alive();
      act(event);
    });
  stream.addEventListener("open", alive);
  stream.addEventListener("error", () => {
    silent();
    if (stream?.readyState === EventSource.CLOSED) {
      close();
      tryAgain();
      later("all"); // which tells whether one is signed in still
    }
  });
  on("beat", () => {});
  on("reset", () => later("all"));
  on("daemon", () => later("all"));
  on("switch", () => later("all"));
  on("project-removed", (event) => {
    const { name } = JSON.parse(event.data);
    if (name === root.dataset.project) say("gone", `${name} was removed.`, "What you see is from before.", "/", "All projects");
    later("all");
  });
  for (const kind of ["project", "deployment", "promotion"])
    on(kind, (event) => {
      const told = JSON.parse(event.data);
      later(kind === "project" ? told.name : told.project);
    });
}

function close() {
  stream?.close();
  stream = null;
}

/** Browsers keep six connections to one address: a page that nobody looks at holds none. */
function whileShown() {
  clearTimeout(closing);
  if (document.hidden) closing = setTimeout(close, hiddenFor);
  else if (signedOut) later("all");
  else if (!stream) {
    open();
    tellTimes();
  }
}

// ── Dialogs ──────────────────────────────────────────────────────────────────────────────────

let asking = false;

/** Tell where a link or form marked `data-dialog` leads. */
const leadsTo = (opener) => opener.href ?? opener.action;

/** Return the opener as it stands in the page now: its part may have been read anew. */
function standing(opener) {
  if (opener.isConnected) return opener;
  const alike = [...document.querySelectorAll("[data-dialog]")];
  return alike.find((one) => leadsTo(one) === leadsTo(opener));
}

/** What of an opener takes the focus. */
const handle = (opener) => opener?.querySelector?.("button") ?? opener;

/** Show the page that a link or form leads to over this one; what is none to confirm opens itself. */
async function ask(opener) {
  if (asking) return;
  asking = true;
  try {
    const page = await read(leadsTo(opener));
    const confirm = page.querySelector("#confirm");
    if (!confirm || document.querySelector("#confirm")) return location.assign(leadsTo(opener));
    const within = opener.closest("dialog");
    const dialog = within ?? makeDialog(opener);
    dialog.replaceChildren(...document.adoptNode(confirm).childNodes);
    watchTimes(dialog);
    if (!within) dialog.showModal();
    dialog.querySelector("#question")?.focus();
    document.dispatchEvent(new CustomEvent("part", { detail: dialog }));
  } finally {
    asking = false;
  }
}

function makeDialog(opener) {
  const dialog = document.createElement("dialog");
  dialog.className = "dialog";
  dialog.opener = opener;
  dialog.setAttribute("aria-labelledby", "question");
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => {
    if (!event.target.closest("[data-close]")) return;
    event.preventDefault();
    dialog.close();
  });
  dialog.addEventListener("close", () => {
    main.prepend(...dialog.querySelectorAll(".came"));
    dialog.remove();
    (handle(standing(opener)) ?? main.querySelector("h1"))?.focus();
  });
  return dialog;
}

const openInstead = (opener) => (error) => {
  if (!signedOut) location.assign(leadsTo(opener));
  else document.getElementById("said-out")?.focus();
};

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  ask(link).catch(openInstead(link));
});

// ── Forms ────────────────────────────────────────────────────────────────────────────────────

/** Say that something is under way; what was there comes back with the page. */
function busy(control) {
  if (!control) return;
  control.setAttribute("aria-busy", "true");
  if (!control.dataset.busy || "idle" in control.dataset) return;
  const label = control.querySelector("span:last-child") ?? control;
  control.dataset.idle = label.textContent;
  label.textContent = control.dataset.busy;
}

function idle(control) {
  control.removeAttribute("aria-busy");
  if (!("idle" in control.dataset)) return;
  (control.querySelector("span:last-child") ?? control).textContent = control.dataset.idle;
  delete control.dataset.idle;
}

// A box without a value of its own has "on" for one, and nothing as its default.
const differs = (one) => (/^(checkbox|radio)$/.test(one.type) ? one.checked !== one.defaultChecked : one.value !== one.defaultValue);

/** Tell whether somebody typed something, which a session that ended would cost them. */
const wasTyped = (form) => [...form.elements].some((one) => one.matches("input:not([type=hidden]), textarea") && differs(one));

/** Send what was typed, if whoever typed it is signed in still; else it stays where it is. */
async function sendTyped(form, submitter) {
  const answer = await fetch("/api/v1/me").catch(() => null);
  delete form.dataset.sent;
  if (answer) sayWhetherIn(answer.status !== 401);
  else say("dead", "The daemon does not answer.", "Nothing was sent. Your text is kept.", location.href, "Reload");
  if (answer && !signedOut) {
    document.getElementById("said-dead")?.remove();
    form.dataset.mayGo = "1";
    form.requestSubmit(submitter);
    return;
  }
  if (submitter) idle(submitter);
  document.getElementById(answer ? "said-out" : "said-dead")?.focus();
}

// A form is sent once, and says that it is under way until the answer is there.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("form[data-dialog]")) {
    event.preventDefault();
    ask(form).catch(openInstead(form));
    return;
  }
  if (form.method !== "post") return;
  if (signedOut || form.dataset.sent) {
    event.preventDefault();
    if (signedOut) document.getElementById("said-out")?.focus();
    return;
  }
  form.dataset.sent = "1";
  busy(event.submitter);
  if (position && !form.dataset.mayGo && wasTyped(form)) {
    event.preventDefault();
    sendTyped(form, event.submitter);
    return;
  }
  const opener = form.closest("dialog")?.opener;
  if (opener) busy(standing(opener)?.querySelector("[role=switch]"));
});

/** Have what is not under way any more be sent again. */
function rearm() {
  for (const form of document.forms) {
    delete form.dataset.sent;
    delete form.dataset.mayGo;
  }
  for (const control of document.querySelectorAll("[aria-busy]")) idle(control);
}

// Whoever leaves, or sends another form, is asked before what they typed is lost.
addEventListener("beforeunload", (event) => {
  const isLost = (form) => form.method === "post" && !form.dataset.sent && wasTyped(form);
  if (position && [...document.forms].some(isLost)) event.preventDefault();
});
// They stayed, or stopped the browser.
window.navigation?.addEventListener("navigateerror", rearm);

// A page that comes back from the browser's memory is from then: it is asked for again.
addEventListener("pagehide", close);
addEventListener("pageshow", (event) => {
  rearm();
  if (!event.persisted) return;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  later("all");
});

// ── Keys ─────────────────────────────────────────────────────────────────────────────────────

const places = { p: "/", d: "/deployments", h: "/hosts", a: "/audit" };
let wasG = false;

document.addEventListener("keydown", (event) => {
  const field = event.target.closest("input, textarea, select, [contenteditable]");
  if (field && event.key === "Escape") field.blur();
  if (field || event.ctrlKey || event.metaKey || event.altKey || "noKeys" in root.dataset) return;
  if (document.querySelector("dialog[open]")) return;
  if (wasG && places[event.key]) location.assign(places[event.key]);
  else if (event.key === "?") location.assign("/keys");
  else if (event.key === "/") {
    const search = document.querySelector("main input[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
    }
  }
  wasG = event.key === "g";
});

// ── Copying ──────────────────────────────────────────────────────────────────────────────────

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button || "label" in button.dataset) return;
  const { copy, from } = button.dataset;
  const [inside, name] = [[...button.childNodes], button.getAttribute("aria-label")];
  button.dataset.label = name ?? button.textContent;
  let said = "Copied";
  try {
    await navigator.clipboard.writeText(copy);
  } catch {
    const shown = document.getElementById(from) ?? button.previousElementSibling;
    if (!from) shown.textContent = copy; // a chip shows its beginning alone
    getSelection().selectAllChildren(shown);
    said = "Selected";
  }
  button.textContent = said;
  if (name) button.setAttribute("aria-label", said);
  announce(said);
  setTimeout(() => {
    button.replaceChildren(...inside);
    if (name) button.setAttribute("aria-label", name);
    delete button.dataset.label;
  }, 2000);
});

// ── Announcing ───────────────────────────────────────────────────────────────────────────────

const announceEvery = 5000;
const unsaid = [];
let announcing = 0;

/** Have something read out; what comes within a few seconds is read out together. */
function announce(text) {
  unsaid.push(text);
  announcing ||= setTimeout(sayAll, 100);
}

function sayAll() {
  document.querySelector("#announce").textContent = unsaid.splice(0).join(". ");
  announcing = setTimeout(() => {
    announcing = 0;
    if (unsaid.length) sayAll();
  }, announceEvery);
}

document.addEventListener("announce", ({ detail }) => announce(detail));

// What was just done is read out, too.
const came = document.querySelector("#came-of #note");
if (came) announce(came.textContent.trim());

watchTimes(document);
tick();
setInterval(tick, 1000);
setInterval(tellTimes, 30_000);
setInterval(() => {
  if (!stream || Date.now() - Math.max(heardAt, openedAt) < silentFor) return;
  silent();
  close(); // a connection that died on the way says nothing of it
  whileShown();
}, 5000);
document.addEventListener("visibilitychange", whileShown);
addEventListener("focus", whileShown);
// Of some things nothing is told: a page of theirs looks again by itself, every so many seconds.
const every = Number(document.body.dataset.every);
const lookAgain = () => document.hidden || later("all");
if (every) {
  setInterval(lookAgain, every * 1000);
  document.addEventListener("visibilitychange", lookAgain);
}
for (const node of document.querySelectorAll('input[name="zone"]'))
  node.value ||= Intl.DateTimeFormat().resolvedOptions().timeZone;
// The printed link has the token behind its `#`, which no server and no log gets to see.
function takeToken() {
  const token = document.querySelector('form[action="/set-up"] #token');
  if (!token || location.hash.length < 2) return;
  token.value ||= location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  document.querySelector("#name").focus();
}
takeToken();
addEventListener("hashchange", takeToken);
whileShown();
