// One case under review: keys for all that can be said.
const review = document.querySelector("[data-review]");
const form = review?.querySelector("[data-readform]");
const typing = (target) => target.closest("input:not([type=radio]):not([type=checkbox]), select, textarea, summary");

addEventListener("keydown", (event) => {
  if (!review || event.ctrlKey || event.altKey || event.metaKey || typing(event.target)) return;
  const choice = form?.querySelectorAll("[data-choice]")[Number(event.key) - 1];
  if (/^[1-9]$/.test(event.key) && choice) {
    choice.checked = choice.type === "radio" || !choice.checked;
    choice.focus();
  } else if (event.key === "Enter" && form && !event.target.closest("a, button")) {
    event.preventDefault();
    form.requestSubmit(form.querySelector("[value=label]"));
  } else {
    const button = review.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!button) return;
    event.preventDefault();
    button.click();
  }
});
