// The answer to one picture by one check-up: decode, find the photographed picture, fit, network, head, refusal, quality, decision.
// The same steps in the same order as medloupe/serving/engine/pictures.py.

import { decide, probabilities } from "./decision.js";
import { evidence } from "./heatmaps.js";
import { isDoubtful, isInverted, score, sketch, tooPoor } from "./novelty.js";
import { straighten } from "./photograph.js";
import { fit, fittedFrame, negativeOf } from "./picture.js";
import { findFault, measure } from "./quality.js";

/**
 * Answer a file's bytes. checkup: {card, parts, forward, upper}, as checkup.js opens it. finder: photographs.json.
 * photo: "auto" finds out whether it is a photograph of a picture, "never" and "always" say it.
 * Gives {said, probabilities (by label), photo, cut (what was cut out of a photograph), heat, facts, timings (milliseconds)};
 * throws Unreadable where the device cannot read the file.
 */
export async function answer(bytes, checkup, finder, photo = "auto") {
  const { card, parts } = checkup, size = card.size, began = performance.now();
  const picture = await straighten(bytes, size, { mode: photo }, finder);
  const pixels = fit(picture, size), measures = measure(picture);
  const seen = performance.now();
  const shared = await checkup.forward(pixels, true);
  const own = checkup.upper ? joined(shared, await checkup.upper(shared.cut)) : shared;
  const { embedding } = shared;
  const p = probabilities(logits(own.embedding, parts.head), card.task);
  const ran = performance.now();
  const refused = await refusal(embedding, pixels, picture, checkup);
  let unusable = judgePhoto(picture.photo, card) ?? findFault(measures, card.quality);
  if (!unusable && !refused && parts.novelty && tooPoor(sketchOf(embedding, parts, card), parts.novelty)) unusable = card.quality.poor;
  const said = decide(p, card, { refused, unusable });
  const shown = card.top ? [...p.keys()].sort((a, b) => p[b] - p[a] || a - b).slice(0, card.top) : [...p.keys()];
  return {
    said,
    probabilities: Object.fromEntries(shown.map((k) => [card.labels[k], p[k]])),
    photo: picture.photo ?? null,
    cut: picture.photo?.corners ? picture.plane : null,
    heat: refused || unusable ? null : { ...evidence(own.map, parts.head, card, shown), frame: fittedFrame(picture.box[2] - picture.box[0], picture.box[3] - picture.box[1], size) },
    facts: picture.facts,
    timings: { decode: seen - began, network: ran - seen, answer: performance.now() - ran },
  };
}

/** Why a photograph cannot be used, as a code; null where it can, or is none. */
function judgePhoto(photo, { photographs }) {
  if (!photo) return null;
  if (!photographs) return "photo_untrained";
  return photo.corners ? null : "photo_corners";
}

/** What the network gave, its leading numbers as the tuned upper stages make them. */
function joined(shared, upper) {
  const made = {};
  for (const name of ["embedding", "map"]) (made[name] = shared[name].slice()).set(upper[name]);
  return made;
}

/** Calibrated logits of the linear head: float32 (K). */
export function logits(embedding, { weight, bias, width }) {
  return Float32Array.from(bias, (b, k) => {
    let sum = 0;
    for (let i = 0, at = k * width; i < width; i++) sum += embedding[i] * weight[at + i];
    return sum + b;
  });
}

function sketchOf(embedding, { novelty, deal }, card) {
  return sketch(embedding, card.novelty.levels, deal, novelty.mean.length);
}

/** "inverted", "foreign" or null. */
async function refusal(embedding, pixels, picture, checkup) {
  const { card, parts } = checkup;
  if (!parts.novelty) return null;
  const z = sketchOf(embedding, parts, card);
  if (isDoubtful(z, parts.novelty, card.novelty)) {
    const negative = negativeOf(pixels, picture.width, picture.height, card.size);
    if (negative) {
      const other = sketchOf((await checkup.forward(negative)).embedding, parts, card);
      if (isInverted(z, other, parts.novelty, card.novelty)) return "inverted";
    }
  }
  return score(z, parts.novelty) <= 1 ? null : "foreign";
}
