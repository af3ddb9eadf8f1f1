// The picture beside its answer: as it was given, or what was cut out of a photograph, with what speaks for a label laid over it.

import { overlay, paint, paintPlane } from "./heatmaps.js";
import { make } from "./view.js";
import { wordsOf } from "./words.js";

/** url: of the picture; given: as answer.js gives it, or null. */
export function showPicture(url, given, card, words) {
  const picture = given?.cut ? paintPlane(given.cut) : make("img", { src: url, alt: words.t("result.picture") });
  if (given?.cut) {
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", words.t("pocket.cut"));
  }
  const shown = make("div", { className: "shown" }, picture);
  return given?.heat ? make("div", {}, shown, choice(shown, given, card, words)) : make("div", {}, shown);
}

function choice(shown, { heat, probabilities }, card, words) {
  const select = make("select", {}, make("option", { value: "", textContent: words.t("result.heat_off") }));
  const { labels } = wordsOf(card, words.code);
  for (const label of Object.keys(probabilities)) select.append(make("option", { value: label, textContent: labels[label] }));
  select.addEventListener("change", () => {
    shown.querySelector(".over")?.remove();
    if (!select.value) return;
    const drawn = paint(overlay(heat.alpha[select.value], heat.size, card.size, heat.frame));
    drawn.className = "over";
    drawn.setAttribute("role", "img");
    drawn.setAttribute("aria-label", words.t("result.heat_alt", { label: labels[select.value] }));
    shown.append(drawn);
  });
  return make("label", { className: "heat" }, make("span", { textContent: words.t("result.heat") }), select);
}
