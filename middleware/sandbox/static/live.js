// Refreshes each [data-live] part every 2 seconds, and only when it has changed.
"use strict";

const PERIOD = 2000;

for (const part of document.querySelectorAll("[data-live]")) {
  if ("stick" in part.dataset) part.scrollTop = part.scrollHeight;
  setInterval(() => refresh(part), PERIOD);
}

async function refresh(part) {
  if (document.hidden) return;
  let text;
  try {
    const answer = await fetch(part.dataset.live, { credentials: "same-origin" });
    if (!answer.ok) return;
    text = await answer.text();
  } catch {
    return; // the sandbox is away; the next try may find it
  }
  const fresh = document.createElement("template");
  fresh.innerHTML = text;
  const open = [...part.querySelectorAll("details[open][data-keep]")].map((d) => d.dataset.keep);
  for (const details of fresh.content.querySelectorAll("details[data-keep]")) {
    details.open = open.includes(details.dataset.keep);
  }
  if (fresh.innerHTML.trim() === part.innerHTML.trim()) return;
  const atEnd = part.scrollHeight - part.scrollTop - part.clientHeight < 40;
  part.replaceChildren(fresh.content);
  if ("stick" in part.dataset && atEnd) part.scrollTop = part.scrollHeight;
}
