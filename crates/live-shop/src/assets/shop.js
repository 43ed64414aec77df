// The page works without this script. With it, it moves by itself, and the wire is beside it.
"use strict";

const background = { headers: { "x-background": "1" } };
const news = document.getElementById("news");

// Reads a page and takes one of its elements.
async function fetched(path, selector) {
  const response = await fetch(path, background);
  const text = await response.text();
  return new DOMParser().parseFromString(text, "text/html").querySelector(selector);
}

// The wire: the same as the page /wire, beside every page.
async function showWire() {
  const aside = document.getElementById("wire");
  const main = await fetched("/wire", "main");
  if (!main) return;
  const heading = aside.querySelector("h2");
  aside.replaceChildren(heading, ...main.childNodes);
}

// Sections with data-on are read again when one of these events comes; many events in a row are one reading.
const waiting = new Map();
function refresh(section) {
  if (waiting.has(section.id)) return;
  waiting.set(section.id, setTimeout(async () => {
    waiting.delete(section.id);
    // Who is typing in it is not disturbed.
    const current = document.getElementById(section.id);
    if (!current || current.contains(document.activeElement) && document.activeElement.matches("input")) return;
    const read = await fetched(location.href, "#" + section.id);
    if (!read || read.innerHTML === current.innerHTML) return;
    current.replaceChildren(...read.childNodes);
    current.classList.remove("changed");
    void current.offsetWidth;
    current.classList.add("changed");
  }, 60));
}

function changed(kind) {
  for (const section of document.querySelectorAll("[data-on]")) {
    if (kind === "resync" || section.dataset.on.split(" ").includes(kind)) refresh(section);
  }
}

// A browser resumes by itself after a lost connection. After an answer that is not 200 it gives up, so we begin again; the last
// ID goes along in the query, because a new EventSource does not know it.
let last = "";
function listen() {
  const source = new EventSource(last ? "/events?last=" + encodeURIComponent(last) : "/events");
  for (const kind of ["cart", "stock", "order", "sale", "note", "resync"]) {
    source.addEventListener(kind, (event) => {
      if (event.lastEventId) last = event.lastEventId;
      const data = JSON.parse(event.data);
      for (const shown of document.querySelectorAll(`[data-sku="${CSS.escape(data.sku || "")}"] .left`)) {
        if (data.left !== null) shown.textContent = data.left;
      }
      if (kind === "sale" && data.left !== null) {
        for (const shown of document.querySelectorAll("#sale .left")) shown.textContent = data.left;
      }
      if (kind === "note") news.textContent = "You have a notification.";
      changed(kind);
    });
  }
  source.addEventListener("hello", (event) => {
    last = event.lastEventId;
    document.documentElement.dataset.listening = "yes";
  });
  source.addEventListener("bye", () => { source.close(); news.textContent = "Your session has ended. Load the page again."; });
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 1000 + Math.random() * 1000);
  };
}

// Suggestions as one types.
const typed = document.getElementById("q");
let asked = 0;
typed?.addEventListener("input", async () => {
  const mine = ++asked;
  const response = await fetch("/suggest?q=" + encodeURIComponent(typed.value), background);
  const found = response.ok && typed.value ? await response.json() : [];
  if (mine !== asked) return;
  const items = found.map(([sku, name]) => {
    const item = document.createElement("li"), link = document.createElement("a");
    link.href = "/product/" + encodeURIComponent(sku);
    link.textContent = name;
    item.append(link);
    return item;
  });
  document.getElementById("found").replaceChildren(...items);
});

for (const form of document.querySelectorAll("[data-submit-on-change]")) {
  form.addEventListener("change", () => form.requestSubmit());
}

// Count downs, from the server's clock when the page was made.
setInterval(() => {
  for (const shown of document.querySelectorAll("[data-counts-down]")) {
    shown.dataset.since ??= Date.now();
    const left = Number(shown.dataset.countsDown) - (Date.now() - Number(shown.dataset.since));
    shown.textContent = Math.max(0, Math.ceil(left / 1000)) + " s";
    if (left <= 0 && !shown.dataset.over) { shown.dataset.over = "1"; changed("sale"); }
  }
}, 250);

showWire();
listen();
