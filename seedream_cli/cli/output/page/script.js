"use strict";
const cards = [...document.querySelectorAll("li")];
const words = new Map(cards.map((card) => [card, card.textContent.toLowerCase()]));
const filter = document.querySelector("input");
const count = document.querySelector("output");
const large = document.querySelector("dialog");
const picture = large.querySelector("img");
const caption = large.querySelector("p");
let shown = null;

const shots = () => [...document.querySelectorAll("li:not([hidden]) a.shot")];

function choose() {
  const asked = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let left = 0;
  for (const card of cards) {
    card.hidden = !asked.every((word) => words.get(card).includes(word));
    left += card.hidden ? 0 : 1;
  }
  count.value = asked.length ? `${left} of ${cards.length} shown` : "";
}

function show(shot) {
  shown = shot;
  picture.src = shot.href;
  picture.alt = shot.querySelector("img").alt;
  caption.textContent = shot.closest("li").querySelector(".prompt").textContent;
  if (!large.open) large.showModal();
}

function go(step) {
  const all = shots();
  const next = all[all.indexOf(shown) + step];
  if (next) show(next);
}

async function copy(button) {
  const text = button.closest("details").querySelector("pre").textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  button.textContent = "copied";
  setTimeout(() => { button.textContent = "copy"; }, 1500);
}

filter.addEventListener("input", choose);
document.addEventListener("click", (event) => {
  const shot = event.target.closest("a.shot");
  if (shot && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    show(shot);
  } else if (event.target.closest("button.copy")) {
    copy(event.target.closest("button"));
  } else if (event.target.closest("dialog")) {
    large.close();
  }
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
choose();
