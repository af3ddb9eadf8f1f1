// The answer to one picture by one check-up: decode, find the photographed picture, fit, network, head, refusal, quality, decision.
// The same steps in the same order as medloupe/serving/engine/pictures.py. Several check-ups: chosen.js.

import { decide, probabilities } from "./decision.js";
import { evidence } from "./heatmaps.js";
import { isPrinted, looksInverted, score, sketchBy, tooPoor } from "./novelty.js";
import { straighten } from "./photograph.js";
import { fit, fittedFrame, negativeOf } from "./picture.js";
import { findFault, measure } from "./quality.js";

/**
 * Answer a file's bytes. checkup: {card, parts, forward, upper}, as checkup.js opens it. finder: photographs.json.
 * request: {mode, corners}; "auto" finds out whether it is a photograph of a picture, "never" and "always" say it, corners are marked by hand.
 * Gives {said, probabilities (by label), photo, cut (what was cut out of a photograph), heat, facts, timings (milliseconds)};
 * throws Unreadable where the device cannot read the file.
 */
export async function answer(bytes, checkup, finder, request = { mode: "auto" }) {
  const { novelty, printed } = checkup.parts, began = performance.now();
  const look = await lookAt(bytes, checkup.card.size, finder, request), seen = performance.now();
  const pass = await checkup.forward(look.pixels, wanted([checkup]));
  const inverted = Boolean(novelty) && (await looksInverted(pass.embedding, novelty, negativeBy(checkup, look)));
  const refused = refusal(pass, checkup, inverted, () => isPrinted(pass.embedding, printed)), ran = performance.now();
  const made = await judge(look, pass, checkup, refused);
  return { ...made, ...toldOf(look), timings: { decode: seen - began, network: ran - seen, answer: performance.now() - ran } };
}

/** A file brought to `size` as a network reads it: {picture, pixels, measures, size}. */
export async function lookAt(bytes, size, finder, request) {
  const picture = await straighten(bytes, size, request, finder);
  return { picture, pixels: fit(picture, size), measures: measure(picture), size };
}

/** What of a look is told with every answer. */
export function toldOf({ picture }) {
  return { photo: picture.photo ?? null, cut: picture.photo?.corners ? picture.plane : null, facts: picture.facts };
}

/** The outputs of a shared network that check-ups need. */
export const wanted = (checkups) => ["embedding", "map", ...(checkups.some(({ upper }) => upper) ? ["cut"] : [])];

/** Gives the embedding of a look's negative, once; null where the picture is not grey. */
export function negativeBy(checkup, { picture, pixels, size }) {
  let made;
  return () => (made ??= see());
  async function see() {
    const negative = negativeOf(pixels, picture.width, picture.height, size);
    return negative && (await checkup.forward(negative, ["embedding"])).embedding;
  }
}

/** Why a check-up refuses a picture: "inverted", "printed_ecg", "foreign" or null. printed(): whether it is a printed ECG, where nobody knows better. */
export function refusal({ embedding }, { parts: { novelty } }, inverted, printed) {
  if (!novelty) return null;
  if (inverted) return "inverted";
  if (score(sketchBy(embedding, novelty), novelty) <= 1) return null;
  return printed() ? "printed_ecg" : "foreign";
}

/** What a check-up says of a look by a pass of its shared network: {said, probabilities, heat}. refused: a code or null. */
export async function judge({ picture, measures, size }, pass, { card, parts, upper }, refused) {
  const own = upper ? joined(pass, await upper(pass.cut)) : pass, p = probabilities(logits(own.embedding, parts.head), card.task);
  const { novelty } = parts;
  let unusable = refused === "printed_ecg" ? null : (judgePhoto(picture.photo, card.photographs) ?? findFault(measures, card.quality));
  if (!unusable && !refused && novelty && tooPoor(sketchBy(pass.embedding, novelty), novelty)) unusable = card.quality.poor;
  const shown = card.top ? [...p.keys()].sort((a, b) => p[b] - p[a] || a - b).slice(0, card.top) : [...p.keys()];
  const frame = fittedFrame(picture.box[2] - picture.box[0], picture.box[3] - picture.box[1], size);
  return {
    said: decide(p, card, { refused, unusable }),
    probabilities: Object.fromEntries(shown.map((k) => [card.labels[k], p[k]])),
    heat: refused || unusable ? null : { ...evidence(own.map, own.embedding.length, parts.head, card, shown), frame },
  };
}

/** Why a photograph cannot be used, as a code; null where it can, or is none. learned: whether the check-up has learned from such. */
export function judgePhoto(photo, learned = true) {
  if (!photo) return null;
  if (!learned) return "photo_untrained";
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
