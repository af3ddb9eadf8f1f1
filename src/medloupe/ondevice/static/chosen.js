// The picture chooses: its kind is found, and all check-ups of that kind answer from one pass of the network.
// The same steps in the same order as Answerer._ask_chosen in medloupe/serving/engine/pictures.py; choosing.js then makes one answer of them.

import { judge, judgePhoto, lookAt, negativeBy, refusal, toldOf, wanted } from "./answer.js";
import { isPrinted, looksInverted, nearness, sketchBy } from "./novelty.js";
import { findFault } from "./quality.js";
import { findKind, isOnlyPrinted, rank, routersOf } from "./router.js";

/**
 * Let a file's bytes choose. checkups: opened, in the order in which they are offered; guides: as router.js takes them, with their kind.
 * Gives {opinions: [{name, said, probabilities, heat, near}], elsewhere (names of those of its kind that only the server asks),
 * nobody (what is said where none of `checkups` answers, else null), photo, cut, facts, timings}.
 */
export async function answerChosen(bytes, checkups, guides, finder, request = { mode: "auto" }) {
  const began = performance.now(), routers = routersOf(checkups, guides);
  if (!routers.length) throw new Error("no check-up here can tell its own kind of picture from others");
  const { checkup: first } = routers[0], look = await lookAt(bytes, first.card.size, finder, request), seen = performance.now();
  const passes = new Map(), negatives = new Map();
  for (const { checkup } of routers) await run(checkup, look, checkups, passes);
  const ran = performance.now(), at = ({ card }) => passes.get(card.network.sha256)?.pass;
  const kinds = new Map([...checkups.map(({ card }) => [card.name, card.choosing.kind]), ...guides.map(({ name, kind }) => [name, kind])]);
  const names = findKind(routers.flatMap((router) => rank(router, at(router.checkup).embedding)), kinds);
  const asked = names.map((name) => checkups.find(({ card }) => card.name === name)).filter(Boolean);
  const told = { opinions: [], elsewhere: names.filter((name) => guides.some((guide) => guide.name === name)), nobody: null, ...toldOf(look) };
  const timings = () => ({ decode: seen - began, network: ran - seen, answer: performance.now() - ran });

  const findInverted = async (among) => {
    for (const checkup of among) {
      const { card, parts } = checkup, key = card.network.sha256;
      if (!parts.novelty || !passes.has(key) || card.size !== look.size) continue;
      if (!negatives.has(key)) negatives.set(key, negativeBy(checkup, look));
      if (await looksInverted(at(checkup).embedding, parts.novelty, negatives.get(key))) return true;
    }
    return false;
  };

  if (!names.length) {
    const printed = routers.some(({ checkup }) => isPrinted(at(checkup).embedding, checkup.parts.printed));
    const why = judgePhoto(look.picture.photo) ?? faultForAll(look.measures, checkups);
    if (why && !printed) return { ...told, nobody: { state: "unusable", why }, timings: timings() };
    const inverted = !why && (await findInverted(checkups));
    return { ...told, nobody: { state: "refused", why: inverted ? "inverted" : printed ? "printed_ecg" : "foreign" }, timings: timings() };
  }
  if (!asked.length) return { ...told, nobody: { state: "refused", why: "elsewhere" }, timings: timings() };
  const inverted = await findInverted(asked);
  for (const checkup of asked) {
    const { card, parts } = checkup;
    if (!at(checkup)) await run(checkup, await lookAt(bytes, card.size, finder, request), checkups, passes); // it has a network of its own
    const { pass, size } = passes.get(card.network.sha256), router = routers.find((one) => one.checkup.card.network.sha256 === card.network.sha256);
    const refused = refusal(pass, checkup, inverted, () => isOnlyPrinted(router, pass.embedding, parts.printed, card.name));
    const made = await judge({ ...look, size }, pass, checkup, refused);
    told.opinions.push({ name: card.name, ...made, near: parts.novelty && nearness(sketchBy(pass.embedding, parts.novelty), parts.novelty) });
  }
  return { ...told, timings: timings() };
}

/** Run the network of a check-up over a look, with what all that share it need. */
async function run(checkup, look, checkups, passes) {
  const key = checkup.card.network.sha256, sharing = checkups.filter(({ card }) => card.network.sha256 === key);
  passes.set(key, { pass: await checkup.forward(look.pixels, wanted(sharing)), size: look.size });
}

/** Why no check-up can use a picture, where all that have limits say the same; null where they do not. */
function faultForAll(measures, checkups) {
  const rules = checkups.map(({ card }) => card.quality), plain = findFault(measures, { ...rules[0], limits: {} });
  if (plain) return plain;
  const faults = rules.filter(({ limited }) => limited).map((own) => findFault(measures, own));
  return faults.length && faults.every((fault) => fault === faults[0]) ? faults[0] : null;
}
