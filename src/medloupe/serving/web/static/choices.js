// What a picture shows, chosen by keys: 1 to 9 a label, 0 none of several, Enter to send, letters for other buttons.
const page = document.querySelector("[data-choosing]");
const form = page?.querySelector("[data-readform]");
const nothing = form?.querySelector("[data-nothing]");
const choices = [...(form?.querySelectorAll("[data-choice]") ?? [])];
const typing = (target) => target.closest("input:not([type=radio]):not([type=checkbox]), select, textarea, summary");

/** Choose a label or take it back; of several "none of these" goes when one is chosen, and the other way round. */
function choose(one) {
  one.checked = one.type === "radio" || !one.checked;
  one.dispatchEvent(new Event("change", { bubbles: true }));
  one.focus();
}

if (nothing) {
  form.addEventListener("change", ({ target }) => {
    if (target === nothing && nothing.checked) for (const one of choices) one.checked = false;
    if (choices.includes(target) && target.checked) nothing.checked = false;
  });
}

addEventListener("keydown", (event) => {
  if (!page || event.ctrlKey || event.altKey || event.metaKey || typing(event.target)) return;
  const choice = choices[Number(event.key) - 1];
  if (/^[1-9]$/.test(event.key) && choice) {
    choose(choice);
  } else if (event.key === "0" && nothing) {
    choose(nothing);
  } else if (event.key === "Enter" && form && !event.target.closest("a, button")) {
    event.preventDefault();
    form.requestSubmit(form.querySelector("[value=label]"));
  } else {
    const button = page.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!button) return;
    event.preventDefault();
    button.click();
  }
});
