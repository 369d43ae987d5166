// Search, the filter of questions, copy buttons, light and dark, and what is late by now. Pages work without it, too.
"use strict";
const root = document.documentElement.dataset.root;
const field = document.getElementById("search"), list = document.getElementById("found");
let entries = null, chosen = -1;

function load(then) {
  if (entries) return then();
  if (window.siteIndex) { entries = window.siteIndex.map((one) => [...one, one.join(" ").toLowerCase()]); return then(); }
  if (load.waits) return;
  load.waits = true;
  const script = document.createElement("script");  // a page that is opened from disk may not fetch
  script.src = root + "search.js";
  script.onload = () => load(then);
  document.head.append(script);
}

function rank(entry, words, text) {
  const name = entry[0].toLowerCase(), last = name.split(".").pop();
  let points = name === text || last === text ? 0 : last.startsWith(text) ? 1 : name.includes(text) ? 2 : 4;
  if (points === 4 && words.every((word) => name.includes(word))) points = 2;
  if (points === 4 && words.every((word) => entry[3].toLowerCase().includes(word))) points = 3;
  return points * 10 + (entry[2] === "marts" ? 0 : entry[2] === "model" ? 1 : entry[2] === "column" ? 5 : 3);
}

function search() {
  const text = field.value.trim().toLowerCase(), words = text.split(/\s+/);
  chosen = -1;
  list.replaceChildren();
  if (text) {
    const found = entries.filter((entry) => words.every((word) => entry[5].includes(word)));
    found.map((entry) => [rank(entry, words, text), entry]).sort((a, b) => a[0] - b[0] || a[1][0].length - b[1][0].length)
      .slice(0, 20).forEach(([, entry], place) => list.append(line(entry, place)));
    if (!found.length) list.append(Object.assign(document.createElement("li"), { className: "none", textContent: "Nothing was found." }));
  }
  list.hidden = !text;
  field.setAttribute("aria-expanded", String(!!text));
  field.removeAttribute("aria-activedescendant");
}

function line([name, address, kind, about], place) {
  const item = document.createElement("li"), link = document.createElement("a");
  item.role = "option"; item.id = "found-" + place; item.ariaSelected = "false"; link.href = root + address;
  for (const [style, text] of [["kind", kind], ["mono", name], ["about", about]])
    link.append(Object.assign(document.createElement("span"), { className: style, textContent: text }));
  item.append(link);
  return item;
}

function choose(step) {
  const items = [...list.querySelectorAll("[role=option]")];
  if (!items.length) return;
  if (chosen >= 0) items[chosen].ariaSelected = "false";
  chosen = (chosen + step + items.length) % items.length;
  items[chosen].ariaSelected = "true";
  items[chosen].scrollIntoView({ block: "nearest" });
  field.setAttribute("aria-activedescendant", items[chosen].id);
}

field.addEventListener("focus", () => load(search));
field.addEventListener("input", () => load(search));
field.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") { choose(event.key === "ArrowDown" ? 1 : -1); event.preventDefault(); }
  if (event.key === "Enter") { const links = list.querySelectorAll("a"); links[Math.max(chosen, 0)]?.click(); }
  if (event.key === "Escape") { field.value = ""; list.hidden = true; field.blur(); }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) { field.focus(); event.preventDefault(); }
});
document.addEventListener("click", (event) => { if (!event.target.closest(".search")) list.hidden = true; });

const filter = document.getElementById("filter");
filter?.addEventListener("input", () => {
  const words = filter.value.trim().toLowerCase().split(/\s+/).filter((word) => word.length > 2 || /\d/.test(word));
  const items = [...document.querySelectorAll(".questions li")];
  const hits = (item) => words.filter((word) => item.dataset.text.includes(word)).length;
  const most = Math.max(...items.map(hits), 1);
  items.forEach((item) => { item.hidden = words.length > 0 && hits(item) < most; });
  document.querySelectorAll(".department").forEach((part) => {
    const shown = [...part.querySelectorAll("li:not([hidden])")];
    part.hidden = !shown.length;
    part.querySelectorAll("li").forEach((item) => item.classList.toggle("first", item === shown[0]));
  });
  const count = items.filter((item) => !item.hidden).length;
  document.getElementById("filtered").textContent = words.length ? count + (count === 1 ? " question" : " questions") : "";
});

document.querySelectorAll(".copy").forEach((button) => button.addEventListener("click", async () => {
  const text = button.parentElement.querySelector("code").textContent;
  try { await navigator.clipboard.writeText(text); } catch {  // of a page that is opened from disk in some browsers
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area); area.select(); document.execCommand("copy"); area.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}));

document.getElementById("theme").addEventListener("click", () => {
  const isDark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = isDark ? "light" : "dark";
  try { localStorage.setItem("theme", document.documentElement.dataset.theme); } catch { /* a browser without storage */ }
});

document.querySelectorAll("[data-late]").forEach((state) => {
  if (new Date(state.dataset.late) < new Date()) { state.textContent = "late by now"; state.className = "status warn"; }
});

document.querySelectorAll(".drawing").forEach((drawing) => {
  const own = drawing.querySelector(".box.own rect");
  if (own) drawing.scrollLeft = own.x.baseVal.value + 92 - drawing.clientWidth / 2;
});
document.querySelectorAll(".star").forEach((star) => {
  const point = (key) => {
    star.classList.toggle("pointed", !!key);
    star.querySelectorAll(".link").forEach((link) => link.classList.toggle("on", link.dataset.from === key || link.dataset.to === key));
  };
  star.querySelectorAll(".box").forEach((box) => {
    box.addEventListener("pointerenter", () => point(box.dataset.table));
    box.addEventListener("pointerleave", () => point(""));
    box.addEventListener("focusin", () => point(box.dataset.table));
    box.addEventListener("focusout", () => point(""));
  });
});
function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  target?.scrollIntoView();
}
addEventListener("hashchange", openTarget);
if (location.hash) openTarget();
