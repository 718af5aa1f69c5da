// The EHR's pages work without this; it filters lists in place, so that no name
// goes into an address, and spares a click when another user is chosen.
"use strict";

for (const form of document.querySelectorAll("[data-submit-on-change]")) {
  form.classList.add("switch-live");
  form.addEventListener("change", () => form.requestSubmit());
}

for (const input of document.querySelectorAll("[data-filter]")) {
  const list = document.getElementById(input.dataset.filter);
  if (!list) continue;
  const rows = [...list.querySelectorAll("tbody tr, li")];
  const empty = document.querySelector(`[data-empty="${input.dataset.filter}"]`);
  const count = document.querySelector("[data-count]");
  input.addEventListener("input", () => {
    const words = fold(input.value).split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = fold(row.textContent);
      row.hidden = !words.every((word) => text.includes(word));
      if (!row.hidden) shown += 1;
    }
    if (empty) empty.hidden = shown > 0;
    if (count) count.textContent = String(shown);
  });
}

for (const place of document.querySelectorAll("[data-load]")) {
  fetch(place.dataset.load)
    .then((answer) => (answer.ok ? answer.text() : ""))
    .then((part) => { place.innerHTML = part; })
    .catch(() => {});
}

function fold(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}
