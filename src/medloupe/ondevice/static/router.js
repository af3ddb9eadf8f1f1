// Find the kind that a picture is of by its embedding alone: medloupe/model/router.py, medloupe/serving/engine/routers.py.

import { distance, isPrinted, score, sketchBy } from "./novelty.js";

/**
 * The routers over check-ups, one for each network that runs here; that of the network which most of them use comes first.
 * checkups: as checkup.js opens them, in the order in which they are offered. guides: check-ups that only the server answers,
 * {name, base, network, sighted, novelty}, by what their pictures look like to a shared network.
 * Each router: {checkup (one of its network), members: Map of name to novelty}.
 */
export function routersOf(checkups, guides) {
  const own = [
    ...checkups.map((checkup) => ({ name: checkup.card.name, base: checkup.card.choosing.base, network: checkup.card.network.sha256, novelty: checkup.parts.novelty, checkup })),
    ...guides.filter(({ sighted }) => !sighted),
  ].filter(({ novelty }) => novelty?.can_choose);
  const [base] = mostCommon(own.map((one) => one.base)), able = own.filter((one) => one.base === base), routers = [];
  for (const network of mostCommon(able.map((one) => one.network))) {
    const sharing = able.filter((one) => one.network === network), checkup = sharing.find((one) => one.checkup)?.checkup;
    if (!checkup) continue; // what only the server answers runs no network here
    const members = new Map(sharing.map((one) => [one.name, one.novelty]));
    if (!routers.length) {
      for (const { card, parts } of checkups) if (parts.sight?.network === base) members.set(card.name, parts.sight.novelty);
      for (const guide of guides) if (guide.sighted && guide.network === base) members.set(guide.name, guide.novelty);
    }
    routers.push({ checkup, members });
  }
  return routers;
}

/** The cards of those that look at pictures. */
export const ofPictures = (cards) => cards.filter(({ ecg }) => !ecg);

/** Whether a picture may choose among check-ups with these cards: two of pictures at least, one of which can tell its own kind from others. */
export const canChoose = (cards) => ofPictures(cards).length > 1 && ofPictures(cards).some(({ novelty }) => novelty?.can_choose);

/** Values, the most common first; of those as common the one that comes first. */
function mostCommon(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a));
}

/** Of a router's members those that do not refuse an embedding: [[name, distance]], the nearest first. */
export function rank({ members }, embedding) {
  const found = [];
  for (const [name, novelty] of members) {
    const z = sketchBy(embedding, novelty);
    if (score(z, novelty) <= 1) found.push([name, distance(z, novelty)]);
  }
  return found.sort((a, b) => a[1] - b[1]);
}

/** Whether a picture that `asked` refuses is a printed ECG, and no other check-up knows it. */
export function isOnlyPrinted(router, embedding, printed, asked) {
  return (!router || !rank(router, embedding).some(([name]) => name !== asked)) && isPrinted(embedding, printed);
}

/** Names of all that are of the kind of the nearest, those that know the picture first. near: [[name, distance]] of all routers; kinds: Map of name to kind. */
export function findKind(near, kinds) {
  const order = [...new Map(near)].sort((a, b) => a[1] - b[1]).map(([name]) => name);
  if (!order.length) return [];
  const kind = kinds.get(order[0]), known = order.filter((name) => kinds.get(name) === kind);
  return [...known, ...[...kinds.keys()].filter((name) => kinds.get(name) === kind && !order.includes(name))];
}
