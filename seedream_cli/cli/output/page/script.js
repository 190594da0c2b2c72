"use strict";
const cards = [...document.querySelectorAll("li")];
const filter = document.querySelector("input");
const count = document.querySelector("output");
const states = document.querySelector(".states");
const large = document.querySelector("dialog");
const picture = large.querySelector("img");
const heading = large.querySelector(".caption b");
const caption = large.querySelector(".caption p");
const place = large.querySelector(".bar span");
const words = new Map();
let only = "";
let shown = null;

const plain = (text) => text.normalize("NFC").toLowerCase();
const part = (card, name) => card.querySelector(name).textContent;
const shots = () => [...document.querySelectorAll("li:not([hidden]) a.shot")];

function has(card, asked) {
  if (!words.has(card)) words.set(card, plain(card.textContent));
  return asked.every((word) => words.get(card).includes(word));
}

function choose() {
  const asked = plain(filter.value).split(/\s+/).filter(Boolean);
  let left = 0;
  for (const card of cards) {
    card.hidden = (only && part(card, ".state") !== only) || !has(card, asked);
    left += card.hidden ? 0 : 1;
  }
  for (const chip of states.children) chip.setAttribute("aria-pressed", String(chip.value === only));
  count.value = asked.length || only ? `${left} of ${cards.length} shown` : "";
}

function offer() {
  const counts = new Map();
  for (const card of cards) {
    const state = part(card, ".state");
    const mood = card.classList[0];
    counts.set(state, { mood, many: (counts.get(state)?.many ?? 0) + 1 });
  }
  if (counts.size < 2) return;
  for (const [state, { mood, many }] of counts) {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.value = state;
    chip.className = mood;
    chip.textContent = `${many} ${state}`;
    states.append(chip);
  }
}

function show(shot) {
  const all = shots();
  const card = shot.closest("li");
  shown = shot;
  picture.src = shot.href;
  picture.alt = shot.querySelector("img").alt;
  heading.textContent = part(card, "h2");
  caption.textContent = part(card, ".prompt");
  place.textContent = `${all.indexOf(shot) + 1} / ${all.length}`;
  if (!large.open) large.showModal();
}

function go(step) {
  const all = shots();
  const next = all[all.indexOf(shown) + step];
  if (next) show(next);
}

function copyByHand(text) {
  const area = document.createElement("textarea");
  area.className = "away";
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

async function copy(button) {
  const line = button.closest("details").querySelector("pre");
  button.setAttribute("aria-live", "polite");
  let done = true;
  try {
    await navigator.clipboard.writeText(line.textContent);
  } catch {
    done = copyByHand(line.textContent);
    button.focus();
  }
  if (!done) getSelection().selectAllChildren(line);
  button.textContent = done ? "copied" : "marked: now copy it by key";
  setTimeout(() => { button.textContent = "copy"; }, 2000);
}

filter.addEventListener("input", choose);
states.addEventListener("click", (event) => {
  const chip = event.target.closest("button");
  if (!chip) return;
  only = chip.value === only ? "" : chip.value;
  choose();
});
document.querySelector("main").addEventListener("click", (event) => {
  const shot = event.target.closest("a.shot");
  const link = event.target.closest("a[href^='#']");
  if (shot && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey) {
    event.preventDefault();
    show(shot);
  } else if (link && document.getElementById(link.hash.slice(1))?.hidden) {
    filter.value = only = "";
    choose();
  } else if (event.target.closest("button.copy")) {
    copy(event.target.closest("button"));
  }
});
large.addEventListener("click", (event) => {
  const step = event.target.closest(".step");
  if (step) go(Number(step.value));
  else if (!event.target.closest(".caption, .bar span")) large.close();
});
large.addEventListener("close", () => {
  picture.removeAttribute("src");
  if (shown) shown.focus();
  shown = null;
});
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (large.open && (event.key === "ArrowRight" || event.key === "ArrowLeft")) {
    event.preventDefault();
    go(event.key === "ArrowRight" ? 1 : -1);
  } else if (!large.open && event.key === "/" && document.activeElement !== filter) {
    event.preventDefault();
    filter.focus();
    filter.select();
  } else if (!large.open && event.key === "Escape" && document.activeElement === filter) {
    filter.value = "";
    choose();
  }
});
offer();
choose();
