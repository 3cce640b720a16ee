"use strict";
const cards = [...document.querySelectorAll(".card")];
const search = document.getElementById("search");
const kind = document.getElementById("kind");
const order = document.getElementById("order");
const shown = document.getElementById("shown");

function show() {
  const text = search.value.trim().toLowerCase();
  for (const card of cards) {
    const named = card.dataset.name.toLowerCase().includes(text);
    card.hidden = !named || (kind.value && card.dataset.kind !== kind.value);
  }
  const count = cards.filter((card) => !card.hidden).length;
  shown.textContent = count === cards.length ? `${count} columns` : `${count} of ${cards.length} columns`;
}

function sort() {
  const key = order.value;
  const number = (card) => Number(card.dataset[key]);
  const sorted = [...cards].sort((a, b) =>
    key === "name" ? a.dataset.name.localeCompare(b.dataset.name) : key === "place" ? number(a) - number(b) : number(b) - number(a)
  );
  sorted.forEach((card) => card.parentNode.append(card));
}

search.addEventListener("input", show);
kind.addEventListener("change", show);
order.addEventListener("change", sort);
document.getElementById("logs").addEventListener("change", (event) => document.body.classList.toggle("logs", event.target.checked));
show();
