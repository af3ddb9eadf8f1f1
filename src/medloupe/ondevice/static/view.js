// Show an answer: its state first, then percentages with their lines, then whom the check-up is for.

import { wordsOf } from "./words.js";

/** An element with text and children. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** The parts of an answer. given: {said, probabilities, facts, heat} as answer.js gives it, or ecg_answer.js; beside: what else is shown after the first lines; below: after the percentages. */
export function showAnswer(given, card, words, beside = [], below = []) {
  const { said, probabilities, facts } = given;
  const told = new Telling(said, probabilities, card, words);
  const [headline, lines] = told.all();
  const parts = [...showState(said.state, headline, [...lines, ...facts.map((code) => words.t(`decoding.${code}`))], words), ...beside];
  if (said.state !== "refused" && said.state !== "unusable") {
    parts.push(told.bars());
    if (!card.calibrated) parts.push(make("p", { className: "note", textContent: words.t("answer.uncalibrated") }));
    if (card.weak) parts.push(make("p", { className: "note", textContent: words.t("answer.weak_plain") }));
    if (given.heat) parts.push(make("p", { className: "note", textContent: words.t("result.heat_note") }));
    if (card.legacy) parts.push(make("p", { className: "note", textContent: words.t("answer.legacy") }));
    if (card.ecg?.beats && card.calibrated) parts.push(make("p", { className: "note", textContent: words.t("ecg.calibrated_beats") }));
    if (card.ecg?.asked.length) parts.push(make("p", { className: "note", textContent: words.t("pocket.ecg_alone", { names: words.join(card.ecg.asked.map((name) => name.replaceAll("_", " "))) }) }));
  }
  parts.push(...below);
  const { title, scope, terms } = wordsOf(card, words.code);
  parts.push(make("p", { className: "note", textContent: [title, ...scope].join(" · ") }));
  if (terms) parts.push(make("p", { className: "note", textContent: terms }));
  parts.push(make("p", { className: "note", textContent: words.t("pocket.by", { version: versionOf(card, words), network: card.network.sha256.slice(0, 8) }) }));
  return parts;
}

/** A state with what is said first. */
export function showState(state, headline, lines, words) {
  return [chip(state, words), make("h3", { textContent: headline }), ...lines.map((text) => make("p", { textContent: text }))];
}

/** A state in a word. */
export const chip = (state, words) => make("p", { className: `chip ${state}`, textContent: words.t(`answer.state_${state}`) });

/** What a check-up says, in two sentences. */
export function summarize({ said, probabilities }, card, words) {
  const told = new Telling(said, probabilities, card, words), [headline, lines] = told.all();
  if (said.why === "no_normal") return told.reason()[0];
  if (said.state === "refused") return `${words.t("refused.headline")}.`;
  if (said.state === "unusable") return `${words.t("answer.unusable")}.`;
  return [/[.!]$/.test(headline) ? headline : `${headline}.`, ...lines.slice(0, 1)].join(" ");
}

export function versionOf(card, words) {
  return card.version === null ? words.t("pocket.shipped") : String(card.version);
}

/** Headline and lines of a refusal. plain: key of the headline where nothing more is known. */
export function tellRefusal(why, words, plain) {
  const known = why === "inverted" || why === "printed_ecg";
  return known ? [words.t(`refused.${why}`), [words.t(`refused.${why}_because`)]] : [words.t(plain), [words.t("refused.because")]];
}

class Telling {
  constructor(said, probabilities, card, words) {
    Object.assign(this, { said, p: probabilities, card, words });
    this.labels = wordsOf(card, words.code).labels;
  }

  all() {
    const { said, words, card } = this;
    if (said.why === "no_normal") return [words.t("applies.not_alone"), this.reason()];
    if (said.state === "refused" && card.ecg) return [words.t("ecg.refused"), [words.t("ecg.refused_because")]];
    if (said.state === "refused") return tellRefusal(said.why, words, "refused.headline");
    if (said.state === "unusable") return [words.t(`quality.${said.why}_title`), [words.t(`quality.${said.why}_do`)]];
    if (said.state === "flagged") return this.flagged();
    if (said.state === "unclear") return [words.t("answer.unclear"), [...this.reason(), ...this.unclear()]];
    if (said.state === "clear") return [words.t("answer.clear"), this.mostProbable("")];
    return [this.tell("answered", said.prediction), []];
  }

  /** Why a check-up that nobody asked for says less than it does by name. */
  reason() {
    const { said, card, words } = this, key = `applies.why_${said.why}`;
    return words.has(key) ? [words.t(key, { title: wordsOf(card, words.code).title })] : [];
  }

  flagged() {
    const { said, words } = this, [first, ...rest] = said.flagged;
    const more = rest.length ? [words.t("answer.also_flagged", { labels: words.join(rest.map((n) => `${this.labels[n]} ${this.percent(n)}`.trim())) })] : [];
    if (this.card.ecg?.beats) return [this.tell("flagged_beats", first), [...more, ...this.mostProbable(first)]];
    const grade = this.grade();
    if (grade) {
      const headline = words.t("answer.flagged_grade", { label: this.labels[grade], percent: words.percent(said.at_least[grade]) });
      return [headline, [this.tell("most_dangerous", first), ...more, ...this.mostProbable(first)]];
    }
    return [this.tell(said.why === "most_probable" ? "flagged_most" : "flagged_line", first), [...more, ...this.mostProbable(first)]];
  }

  unclear() {
    const { said, words } = this, grade = this.grade();
    if (said.why === "not_announced") return [words.t("answer.unclear_hidden", { label: this.labels[said.prediction] })];
    if (said.why === "few_beats") return [words.t("answer.unclear_beats"), ...this.mostProbable("")];
    if (!grade) return this.mostProbable("");
    const percent = words.percent(said.at_least[grade]);
    return [words.t("answer.unclear_grade", { label: this.labels[grade], percent }), ...this.mostProbable("")];
  }

  mostProbable(but) {
    const label = this.said.prediction;
    return label && label !== but && label in this.p ? [this.tell(this.card.ecg?.beats ? "most_beats" : "most_probable", label)] : [];
  }

  grade() {
    const { grade } = this.said, k = this.card.labels.indexOf(grade);
    return grade && this.card.rule.sought[k] ? grade : "";
  }

  line(label) {
    const { rule, labels } = this.card, k = labels.indexOf(label);
    return rule.sought[k] && rule.announced[k] ? rule.lines[k] : null;
  }

  percent(label) {
    return label in this.p ? this.words.percent(this.p[label]) : "";
  }

  tell(key, label) {
    const line = this.line(label);
    return this.words.t(`answer.${key}`, { label: this.labels[label], percent: this.percent(label), line: line === null ? "" : this.words.percent(line) });
  }

  bars() {
    const names = Object.keys(this.p), ordered = this.card.rule.ordered;
    if (!ordered) names.sort((a, b) => this.p[b] - this.p[a]);
    return make("ul", { className: "bars" }, ...names.map((name) => this.bar(name)));
  }

  bar(name) {
    const line = this.line(name), { said, words } = this;
    const item = make("li", { className: [name === said.prediction && "called", said.flagged.includes(name) && "flagged"].filter(Boolean).join(" ") });
    const limit = line === null ? "" : ` (${words.t("result.line_at", { limit: words.percent(line) })})`;
    item.append(make("span", { className: "name", textContent: this.labels[name] + limit }), make("span", { className: "value", textContent: this.percent(name) }), drawBar(this.p[name], line));
    return item;
  }
}

function drawBar(p, line) {
  const svg = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const drawn = svg("svg", { viewBox: "0 0 100 16", preserveAspectRatio: "none", "aria-hidden": "true" });
  drawn.append(svg("rect", { class: "track", y: 4, width: 100, height: 8 }), svg("rect", { class: "fill", y: 4, width: 100 * p, height: 8 }));
  if (line !== null && line <= 1) drawn.append(svg("line", { class: "limit", x1: 100 * line, x2: 100 * line, y1: 1, y2: 15, "vector-effect": "non-scaling-stroke" }));
  return drawn;
}
