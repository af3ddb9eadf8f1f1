// The table of answers: thumbnails and file names that this browser has kept, what was not answered, CSV with names.
import { find } from "./kept.js";

export async function batch(table) {
  const failed = JSON.parse(sessionStorage.getItem(`failed:${location.search}`) ?? "[]");
  for (const one of failed) {
    const row = document.querySelector("[data-failed-row]").content.cloneNode(true);
    for (const name of ["headline", "because", "file"]) row.querySelector(`[data-${name}]`).textContent = one[name];
    table.tBodies[0].append(row);
  }
  const names = new Map();
  const link = document.querySelector("[data-csv]");
  link?.addEventListener("click", (event) => {
    event.preventDefault();
    save(link, names);
  });
  for (const row of table.querySelectorAll("[data-row]")) {
    const entry = await find(row.dataset.row);
    if (!entry) continue;
    if (entry.file) names.set(row.dataset.row, entry.file);
    if (entry.file) row.querySelector("[data-file]").textContent = entry.file;
    const shown = row.querySelector("[data-thumb]");
    if (!entry.picture) continue;
    shown.src = entry.picture.src;
    shown.hidden = false;
  }
}

/** The server's table, its first column filled with the names that only this browser knows. */
async function save(link, names) {
  const got = await fetch(link.href);
  if (!got.ok) return location.assign(link.href);
  const rows = (await got.text()).split("\r\n").map((row) => {
    const name = row.startsWith(",") && names.get(row.slice(1, 33));
    return name ? cell(name) + row : row;
  });
  const made = document.createElement("a");
  made.href = URL.createObjectURL(new Blob(["\ufeff", rows.join("\r\n")], { type: "text/csv" }));
  made.download = link.download;
  made.click();
  URL.revokeObjectURL(made.href);
}

function cell(text) {
  const safe = (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replace(/[\r\n]+/g, " ");
  return /[",;\t]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
