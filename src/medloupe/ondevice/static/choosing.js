// What is said where the app chose among the check-ups of one kind: medloupe/model/choosing.py, by the constants of the cards.

import { finding } from "./decision.js";

/**
 * One answer of several. opinions: as chosen.js gives them, each with its `card`; told: the choice by question, as far as it is known.
 * Gives {main (an opinion with what is said of it, or null where no check-up is meant), answers (all that are meant, the most
 * dangerous first), ask (the open question on which the state depends: {question, choices}, or null)}.
 */
export function chooseAnswer(opinions, told) {
  const answers = decideBeside(meantBy(opinions, told));
  return { main: answers[0] ?? null, answers, ask: answers.length ? findQuestion(opinions, told) : null };
}

/** All questions of check-ups: Map of question to its choices. */
export function gatherQuestions(cards) {
  const found = new Map();
  for (const { question, choices } of cards.flatMap(({ choosing }) => choosing.applies)) found.set(question, [...new Set([...(found.get(question) ?? []), ...choices])]);
  return found;
}

/** Those that are for what was told; a question that was not answered excludes nothing. */
function meantBy(opinions, told) {
  return opinions.filter(({ card }) => card.choosing.applies.every(({ question, values }) => values.includes(told[question] ?? values[0])));
}

const isSilent = ({ said }) => said.state === "refused" || said.state === "unusable";

/** What each says beside the others, the most dangerous first. */
function decideBeside(meant) {
  const tempered = meant.map(temper);
  const heard = tempered.filter((one) => one.card.choosing.says_normal && !isSilent(one)).map(({ said }) => said.state);
  const decided = tempered.map((one) => {
    const alone = !heard.length || (["flagged", "unclear"].includes(one.said.state) && !heard.includes("flagged"));
    return !one.card.choosing.says_normal && alone && !isSilent(one) ? silence(one) : one;
  });
  return decided.map((one) => [one, danger(one)]).sort(([, a], [, b]) => compare(a, b)).map(([one]) => one);
}

function compare(a, b) {
  const k = a.findIndex((v, i) => Number(v) !== Number(b[i]));
  return k < 0 ? 0 : Number(a[k]) - Number(b[k]);
}

/** The lowest is the most dangerous. */
function danger({ said, card, probabilities }) {
  const { choosing, rule, labels } = card, place = choosing.states.indexOf(said.state), rank = [place, said.why === "foreign", !choosing.says_normal];
  if (said.state !== "flagged") return rank;
  const label = said.flagged[0];
  return [...rank, rule.danger[labels.indexOf(label)], (lineOf(card, label) ?? 0) - (probabilities[label] ?? 0)];
}

/** The probability from which a label is flagged; null of one that never is. */
export function lineOf({ rule, labels }, label) {
  const k = labels.indexOf(label);
  return rule.sought[k] && rule.announced[k] ? rule.lines[k] : null;
}

/** Take back a flag that is not sure enough for a check-up that nobody asked for. */
function temper(one) {
  const { said, near } = one;
  if (said.state !== "flagged" || !["over_line", "most_probable"].includes(said.why) || isSure(one)) return one;
  return { ...one, said: { ...said, state: "unclear", why: near === "far" ? "unfamiliar" : "unasked", flagged: [] } };
}

function isSure({ card, probabilities, near }) {
  const { rule, labels, task, choosing } = card, known = choosing.false_flags;
  if (near === "far") return false;
  if (near === "usual" && known !== null && known <= choosing.few) return true;
  const p = labels.map((label) => probabilities[label] ?? 0), best = p.indexOf(Math.max(...p)), able = labels.map((_, k) => rule.sought[k] && rule.announced[k]);
  const leads = (k) => k === best && (task === "multiclass" || rule.settled || p[k] >= rule.most_probable);
  const first = able.some((may, k) => may && (leads(k) || p[k] >= choosing.most_probable));
  const lowest = Math.min(choosing.most_probable, ...rule.lines.filter((_, k) => able[k]));
  const doubted = known !== null && known > choosing.few && lowest >= choosing.most_probable;
  return first && ((near === "usual" && !doubted) || finding(p, card) >= choosing.sure);
}

/** Take back the answer of a check-up that cannot say normal. */
function silence(one) {
  return { ...one, heat: null, said: { state: "refused", why: "no_normal", prediction: "", flagged: [], grade: null, at_least: null } };
}

/** The first question that is open and by whose answer the state would differ. */
function findQuestion(opinions, told) {
  for (const [question, choices] of gatherQuestions(meantBy(opinions, told).map(({ card }) => card))) {
    if (question in told || choices.length < 2) continue;
    const states = new Set(choices.map((choice) => decideBeside(meantBy(opinions, { ...told, [question]: choice }))[0]?.said.state ?? "refused"));
    if (states.size > 1) return { question, choices };
  }
  return null;
}
