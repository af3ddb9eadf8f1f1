// One result: what this browser has kept of it, the viewer, the heat map's strength, the short name, feedback without leaving the page.
import { boxes } from "./boxes.js";
import { drop, fill, find } from "./kept.js";
import { questions } from "./question.js";
import { viewer } from "./viewer.js";

export async function liven(reading) {
  await fill(reading);
  const seen = reading.querySelector("[data-viewer]:not([hidden])");
  if (seen) viewer(seen);
  boxes(reading);
  const heats = reading.querySelectorAll(".heat");
  const strength = reading.querySelector("[data-strength]");
  strength?.addEventListener("input", () => {
    for (const heat of heats) heat.style.opacity = strength.value / 100;
  });
  questions(reading, async () => (await find(reading.dataset.answer))?.source);
  const alias = reading.querySelector("[data-alias]");
  alias?.addEventListener("change", () => fetch(alias.action, {
    method: "POST", body: new URLSearchParams(new FormData(alias)), redirect: "manual", keepalive: true,
  }).catch(() => {}));  // its button still sends it
  const form = reading.querySelector("[data-feedback]");
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    give(form);
  });
  const offer = reading.querySelector("[data-offer]");
  if (offer) offering(offer, (await find(reading.dataset.answer))?.source);
  const said = document.querySelector("[data-announce]");
  if (said) said.textContent = reading.querySelector("[data-says]").textContent;
}

/** Deleting an answer deletes what this browser has of it. */
export function forgetting(form) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    await drop(form.dataset.forget);
    form.submit();
  });
}

/** Where this browser still has the file that was sent, nobody has to choose it again. */
function offering(form, file) {
  if (!file) return;
  form.querySelector("[data-offerfile]").remove();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const body = new FormData(form);
    body.set("image", file, file.name);
    give(form, body);
  });
}

async function give(form, body = new URLSearchParams(new FormData(form))) {
  if (form.dataset.sent) return;
  form.dataset.sent = "yes";
  let status = form.querySelector("[role=status]");
  if (!status) {
    status = document.createElement("p");
    status.setAttribute("role", "status");
    form.append(status);
  }
  try {
    const answer = await fetch(form.action, {
      method: "POST", body, headers: { Accept: "text/html", "X-Part": "1" },
    });
    if (!answer.ok) throw new Error(answer.status);
    for (const child of [...form.children]) if (child !== status) child.remove();
    status.textContent = form.dataset.sayThanks;
  } catch {
    delete form.dataset.sent;
    status.textContent = form.dataset.sayLost;
  }
}
