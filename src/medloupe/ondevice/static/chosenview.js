// Show what the check-ups of a picture's kind say together: the main answer, the question on which it depends, and all others.

import { chooseAnswer, gatherQuestions } from "./choosing.js";
import { chip, make, showAnswer, showState, summarize, tellRefusal } from "./view.js";
import { titleOf, wordsOf } from "./words.js";

/**
 * {main: the answer as answer.js gives one, or null where no check-up answers; card: of which it is; state; parts: elements}.
 * given: as chosen.js gives it; release: with all check-ups; cards: of those that were asked; told: the choice by question;
 * tell(question, choice): called when a person says one.
 */
export function showChosen(given, { release, cards }, words, told, tell) {
  const opinions = given.opinions.map((one) => ({ ...one, card: cards.find((card) => card.name === one.name) }));
  const { main, answers, ask } = chooseAnswer(opinions, told), elsewhere = showElsewhere(given, opinions, release, words);
  const asked = showQuestions(opinions, told, ask, words, tell);
  if (!main) {
    const { state, why } = given.nobody ?? { state: "refused", why: "not_meant" };
    const [headline, lines] = tellNobody(state, why, given, release, words);
    const facts = given.facts.map((code) => words.t(`decoding.${code}`));
    return { main: null, card: null, state, parts: [...showState(state, headline, [...lines, ...facts], words), ...asked, ...(why === "elsewhere" ? [] : elsewhere)] };
  }
  const { card } = main, others = answers.filter((one) => one !== main);
  const chose = make("p", { className: "note", textContent: `${words.t("choose.chose")} ${wordsOf(card, words.code).title}` });
  const parts = [chose, ...showAnswer({ ...given, ...main }, card, words, [...asked, ...showOthers(others, words), ...elsewhere])];
  return { main: { ...given, ...main }, card, state: main.said.state, parts };
}

function tellNobody(state, why, given, release, words) {
  if (state === "unusable") return [words.t(`quality.${why}_title`), [words.t(`quality.${why}_do`)]];
  if (why === "not_meant") return [words.t("applies.not_alone"), [words.t("applies.why_not_meant")]];
  if (why === "elsewhere") return [words.t("pocket.elsewhere"), [words.t("pocket.elsewhere_only", { titles: titles(given.elsewhere, release, words) })]];
  return tellRefusal(why, words, "refused.none");
}

const titles = (names, release, words) => words.join(names.map((name) => titleOf(release, name, words.code)));

/** Which check-ups of the same kind had no say: those of the server, and those that are not kept here. */
function showElsewhere({ elsewhere }, opinions, release, words) {
  if (!opinions.length) return [];
  const { kind } = opinions[0].card.choosing, names = opinions.map(({ name }) => name);
  const unkept = release.checkups.filter((card) => card.choosing.kind === kind && !names.includes(card.name)).map(({ name }) => name);
  const note = (key, found) => (found.length ? [make("p", { className: "note", textContent: words.t(key, { titles: titles(found, release, words) }) })] : []);
  return [...note("pocket.elsewhere_too", elsewhere), ...note("pocket.unkept_too", unkept)];
}

function showOthers(others, words) {
  if (!others.length) return [];
  const list = others.map((one) => {
    const { title, scope } = wordsOf(one.card, words.code), about = scope.length ? [" ", make("span", { className: "muted", textContent: `(${scope.join(" · ")})` })] : [];
    return make("li", {}, chip(one.said.state, words), make("span", {}, make("strong", { textContent: title }), ...about, make("br"), summarize(one, one.card, words)));
  });
  return [make("section", { className: "others" }, make("h4", { textContent: words.t("answer.others") }), make("ul", {}, ...list))];
}

/** The question on which the answer depends, and those that were answered, which can be answered otherwise. */
function showQuestions(opinions, told, ask, words, tell) {
  const all = gatherQuestions(opinions.map(({ card }) => card)), open = [...all.keys()].filter((question) => question in told || question === ask?.question);
  return open.map((question) => {
    const said = opinions.map(({ card }) => wordsOf(card, words.code).questions[question]).filter(Boolean), choices = Object.assign({}, ...said.map((one) => one.choices));
    const buttons = all.get(question).map((choice) => {
      const button = make("button", { type: "button", className: "button", textContent: choices[choice] });
      button.setAttribute("aria-pressed", String(told[question] === choice));
      button.addEventListener("click", () => tell(question, choice));
      return button;
    });
    const why = make("p", { className: "note", textContent: words.t("applies.why") });
    return make("div", { className: "question" }, make("fieldset", {}, make("legend", { textContent: said[0].title }), why, make("div", { className: "row" }, ...buttons)));
  });
}
