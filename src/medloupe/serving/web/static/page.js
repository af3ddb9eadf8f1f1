// What every page gains from scripts. All of it works without them, a little less comfortably.
import { asking } from "./asking.js";
import { batch } from "./batch.js";
import { sweep } from "./kept.js";
import { nearby } from "./nearby.js";
import { forgetting, liven } from "./reading.js";
import { leaving, waiting } from "./waiting.js";

document.documentElement.classList.add("js");

nearby();

const offline = document.querySelector("[data-offline]");
const connection = () => { offline.hidden = navigator.onLine; };
addEventListener("online", connection);
addEventListener("offline", connection);
connection();

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) print();
});

for (const one of document.querySelectorAll("[data-logout]")) leaving(one);

const form = document.querySelector("[data-asking]");
if (form) asking(form);

// A form is sent once: a second click while the first is under way does nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method === "get" || form.method === "dialog") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  for (const button of form.querySelectorAll("button[type=submit]")) button.setAttribute("aria-disabled", "true");
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button[aria-disabled]")) button.removeAttribute("aria-disabled");
  }
});

await sweep();
waiting();
for (const one of document.querySelectorAll("[data-forget]")) forgetting(one);
for (const reading of document.querySelectorAll("[data-reading]")) liven(reading);
const table = document.querySelector("[data-answers]:not(form)");
if (table) batch(table);
