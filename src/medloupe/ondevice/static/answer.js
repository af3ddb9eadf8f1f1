// The answer to one picture by one check-up: decode, fit, network, head, refusal, quality, decision.
// The same steps in the same order as medloupe/serving/engine/pictures.py.

import { decide, probabilities } from "./decision.js";
import { isDoubtful, isInverted, score, sketch, tooPoor } from "./novelty.js";
import { decode, fit, negativeOf } from "./picture.js";
import { findFault, measure } from "./quality.js";

/**
 * Answer a file's bytes. checkup: {card, parts, forward, upper}, as checkup.js opens it.
 * Gives {said, probabilities (by label), timings (milliseconds)}; throws Unreadable where the device cannot read the file.
 */
export async function answer(bytes, checkup) {
  const { card, parts } = checkup, size = card.size, began = performance.now();
  const picture = await decode(bytes, size);
  const pixels = fit(picture, size), measures = measure(picture);
  const seen = performance.now();
  const { embedding, cut } = await checkup.forward(pixels);
  const own = checkup.upper ? replaceFirst(embedding, await checkup.upper(cut)) : embedding;
  const p = probabilities(logits(own, parts.head), card.task);
  const ran = performance.now();
  const refused = await refusal(embedding, pixels, picture, checkup);
  let unusable = findFault(measures, card.quality);
  if (!unusable && !refused && parts.novelty && tooPoor(sketchOf(embedding, parts, card), parts.novelty)) unusable = card.quality.poor;
  const said = decide(p, card, { refused, unusable });
  const shown = card.top ? [...p.keys()].sort((a, b) => p[b] - p[a] || a - b).slice(0, card.top) : [...p.keys()];
  return {
    said,
    probabilities: Object.fromEntries(shown.map((k) => [card.labels[k], p[k]])),
    facts: picture.plane.facts ?? [],
    timings: { decode: seen - began, network: ran - seen, answer: performance.now() - ran },
  };
}

/** The leading numbers of an embedding as the tuned upper stages make them. */
function replaceFirst(embedding, upper) {
  const joined = embedding.slice();
  joined.set(upper);
  return joined;
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
