const slider = document.getElementById("strength");
if (slider) {
  slider.closest("p").hidden = false;
  slider.addEventListener("input", () => document.documentElement.style.setProperty("--heat", slider.value / 100));
}