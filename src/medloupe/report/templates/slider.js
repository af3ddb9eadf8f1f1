const slider = document.getElementById("strength");
if (slider) {
  slider.closest("p").hidden = false;
  slider.addEventListener("input", () => document.documentElement.style.setProperty("--heat", slider.value / 100));
}// Folded parts that belong on paper are unfolded for it, where the style sheet cannot do so.
let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("details.prints:not([open])")];
  for (const part of unfolded) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of unfolded) part.open = false;
});
