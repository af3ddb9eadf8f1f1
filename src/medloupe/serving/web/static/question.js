// The question on which an answer depends: where the page still has the picture, it is sent again with the choice.
import { harvest, keep } from "./kept.js";

/** Give every question within an element its picture. pictureOf: from its form to a File, a promise of one, or null. */
export function questions(within, pictureOf) {
  for (const form of within.querySelectorAll("form[data-question]")) {
    ready(form, pictureOf);
    form.addEventListener("submit", again);
  }
}

async function ready(form, pictureOf) {
  let file = null;
  try {
    file = await pictureOf(form);
  } catch { /* it is chosen once more */ }
  if (!file) return;
  const input = form.querySelector("input[type=file]");
  const files = new DataTransfer();
  files.items.add(file);
  input.files = files.files;
  form.querySelector("[data-picture]").hidden = true;
}

/** Ask again, so that this browser keeps of the new answer what it kept of the one before. */
async function again(event) {
  const form = event.target;
  if (form.dataset.plain) return;
  event.preventDefault();
  if (form.dataset.sent) return;
  form.dataset.sent = "yes";
  try {
    const answer = await fetch(form.action, {
      method: "POST", body: new FormData(form, event.submitter), headers: { Accept: "text/html", "X-Part": "1" },
    });
    const made = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-reading]");
    if (!made?.dataset.answer) throw new Error(answer.status);
    await keep(harvest(made));
    location.assign(`${form.dataset.answers}/${made.dataset.answer}${"chosenByApp" in made.dataset ? "?chosen=1" : ""}`);
  } catch {
    form.dataset.plain = "yes";  // the page that the server sends then says what is wrong
    delete form.dataset.sent;
    form.requestSubmit(event.submitter);
  }
}
