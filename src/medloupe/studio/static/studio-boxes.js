// The page on which boxes are drawn: the button says what saving means, Enter saves, and what was not saved is asked about.
const form = document.querySelector("[data-boxform]");
const button = form?.querySelector("[data-save]");
const field = form?.querySelector("[data-boxes]");
let begun = null;

function word(count) {
  button.textContent = count ? form.dataset.saySave : form.dataset.sayNothing;
}

if (form) {
  begun = field.value;
  const read = () => JSON.parse(field.value || "[]");
  word(read().length);
  form.addEventListener("boxes", (event) => { word(event.detail); });
  addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.defaultPrevented || event.target.closest("a, button, input, select, summary")) return;
    event.preventDefault();
    form.requestSubmit(button);
  });
  let saving = false;
  form.addEventListener("submit", () => { saving = true; });
  const plain = (text) => JSON.stringify(JSON.parse(text || "[]").map((box) => [box.label, ...["x", "y", "width", "height"].map((side) => Math.round(box[side]))]));
  addEventListener("beforeunload", (event) => { if (!saving && plain(field.value) !== plain(begun)) event.preventDefault(); });
}
