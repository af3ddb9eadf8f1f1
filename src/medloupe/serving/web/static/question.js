// The question on which an answer depends: where the page still has the picture, it is sent again with the choice.

/** Give every question within an element its picture. pictureOf: from its form to a File, a promise of one, or null. */
export function questions(within, pictureOf) {
  for (const form of within.querySelectorAll("form[data-question]")) ready(form, pictureOf);
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
