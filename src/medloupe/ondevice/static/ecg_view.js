// Show an ECG beside its answer: drawn on paper, its beats by class, heart rate and rhythm in words. medloupe/serving/web/ecg.py and its templates.

import { COLOURS, drawSheet, drawStrip, hasSheet } from "./ecg_paper.js";
import { make } from "./view.js";
import { wordsOf } from "./words.js";

const STRIP = 10, DRAWN = 60, MINUTES = 120, NAMED = 3; // seconds drawn in one piece, and in all; from which on a length is told in minutes; letters that fit above a beat
let last = 0;

/** The drawing, with what chooses how it is shown. given: as ecg_answer.js gives it. */
export function showDrawing(given, card, words) {
  const view = make("section", { className: "ecgview" }), { seconds } = given.ecg;
  const redraw = (start) => view.replaceChildren(...drawing(view, given, card, words, start, redraw));
  redraw(0);
  view.classList.toggle("long", Boolean(judged(given).beats) || seconds > STRIP);
  return view;
}

/** What was judged of it: where no answer was given, no beat has a class and nothing is shaded. */
function judged({ said, ecg }) {
  return ["refused", "unusable"].includes(said.state) ? { beats: null, attention: null } : ecg;
}

function drawing(view, given, card, words, start, redraw) {
  const { signal, seconds } = given.ecg, { beats, attention } = judged(given), key = `ecg-${(last += 1)}`, say = (v) => secondsIn(v, words);
  const labels = card.labels, letters = lettersOf(labels), { labels: titles } = wordsOf(card, words.code), end = Math.min(seconds, start + DRAWN);
  const marks = (beats ?? []).map(({ second, label, probability: p }) => {
    const k = labels.indexOf(label);
    return { second, letter: letters[k], colour: COLOURS[k % COLOURS.length], words: words.t("ecg.beat", { label: titles[label], percent: words.percent(p) }) };
  });
  const strips = cutStrips(start, end).map(([from, to]) => ({
    title: words.t("ecg.strip", { begin: say(from), end: say(to) }),
    svg: drawStrip(signal, { marks, attention, start: from, seconds: to - from, title: words.t("ecg.drawing", { begin: say(from), end: say(to) }) }),
  }));
  const sheet = hasSheet(signal) && !given.ecg.beats && start === 0 ? drawSheet(signal, { attention, title: words.t("ecg.drawing", { begin: "0", end: "10" }) }) : null;
  const rows = make("div", { className: "rows" }, ...strips.flatMap(({ title, svg }) => [...(strips.length > 1 ? [make("p", { className: "when", textContent: title })] : []), svg]));
  const paper = make("div", { className: "ecgpaper" }, ...(sheet ? [make("div", { className: "usual" }, sheet)] : []), rows);
  const frame = make("div", { className: "ecgframe", tabIndex: 0, role: "region", ariaLabel: words.t("ecg.frame") }, paper);
  const note = (className, text) => make("p", { className: `note ${className}`, textContent: text });
  const notes = [note("onpaper", [words.t("paper.scale"), ...(strips.length > 1 && !sheet ? [words.t("paper.part")] : [])].join(" ")), note("onscreen", [words.t("ecg.paper"), ...(attention ? [words.t("ecg.shade_note")] : [])].join(" "))];
  const part = seconds > DRAWN + 0.05 ? [note("", words.t("pocket.ecg_drawn", { begin: say(start), end: say(end), all: say(seconds) })), startField(key, start, seconds, words, redraw)] : [];
  return [bar(key, Boolean(sheet), Boolean(attention), words), ...(beats ? [legend(beats, labels, letters, titles, words)] : []), frame, ...part, ...notes];
}

/** Pieces of the drawing, [from, to] in seconds; no strip of a moment. */
function cutStrips(start, end) {
  const strips = [];
  for (let at = start; at < end - 0.05; ) {
    const next = Math.min(at + STRIP, end), to = end - next < 1 ? end : next;
    strips.push([at, to]);
    at = to;
  }
  return strips;
}

/** How large it is drawn, in which layout, and whether it is shaded. */
function bar(key, sheet, shaded, words) {
  const option = (type, name, data, value, checked, text) => {
    const input = make("input", { type, name: `${name}-${key}`, checked });
    input.dataset[data] = value;
    return make("label", { className: type === "radio" ? "option" : "option shading" }, input, text);
  };
  const choice = (title, ...options) => make("fieldset", {}, make("legend", { textContent: title }), make("div", { className: "options" }, ...options));
  const sizes = [50, 100, 200].map((size) => option("radio", "zoom", "zoom", size, size === 100, words.percent(size / 100)));
  const layouts = ["sheet", "rows"].map((layout) => option("radio", "layout", "layout", layout, layout === "sheet", words.t(`ecg.layout_${layout}`)));
  const shade = option("checkbox", "shade", "shade", "", true, words.t("ecg.shade"));
  return make("div", { className: "ecgbar" }, choice(words.t("ecg.zoom"), ...sizes), ...(sheet ? [choice(words.t("ecg.layout"), ...layouts)] : []), ...(shaded ? [shade] : []));
}

/** Where the drawing begins, of a recording that is longer than is drawn. */
function startField(key, start, seconds, words, redraw) {
  const input = make("input", { type: "number", id: `start-${key}`, min: 0, max: Math.floor(seconds), step: 10, value: start });
  input.addEventListener("change", () => {
    const from = Number(input.value);
    if (from >= 0 && from < seconds) redraw(from);
  });
  return make("div", { className: "field onscreen" }, make("label", { htmlFor: input.id, textContent: words.t("ecg.start") }), input);
}

function swatch(k) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  for (const [name, value] of Object.entries({ width: 16, height: 16, rx: 3, fill: COLOURS[k % COLOURS.length] })) rect.setAttribute(name, value);
  svg.append(rect);
  return svg;
}

/** Labels by how many beats have each, the commonest first: [[k, n]]. */
function countBeats(beats, labels) {
  const counts = labels.map((label, k) => [k, beats.filter((beat) => beat.label === label).length]);
  return counts.filter(([, n]) => n).sort(([, a], [, b]) => b - a);
}

function legend(beats, labels, letters, titles, words) {
  const items = countBeats(beats, labels).map(([k]) => make("li", {}, swatch(k), ...(letters[k] === titles[labels[k]] ? [] : [make("strong", { textContent: letters[k] }), " "]), titles[labels[k]]));
  return make("ul", { className: "legend", ariaLabel: words.t("ecg.classes") }, ...items);
}

/** What was measured: heart rate, rhythm, length, leads, the classes of beats, and notes, which are in English. */
export function showFacts(given, card, words) {
  const { heartRate, rhythm, peaks, signal, seconds, notes } = given.ecg, { beats } = judged(given), facts = [];
  if (heartRate !== null) facts.push([words.t("ecg.heart_rate"), words.t("ecg.per_minute", { n: words.number(heartRate) })]);
  if (rhythm) facts.push([words.t("ecg.rhythm"), [words.t(`ecg.rhythm_${rhythm[0]}`), ...(rhythm[1] ? [words.t(`ecg.pace_${rhythm[1]}`)] : [])].join(", ")]);
  facts.push([words.t("ecg.beats"), words.number(peaks.length)]);
  facts.push([words.t("ecg.length"), words.t("ecg.length_value", { length: lengthIn(seconds, words), rate: secondsIn(signal.rate, words) })]);
  const leads = signal.leads.filter(Boolean);
  if (leads.length) facts.push([words.t("ecg.leads"), leads.join(", ")]);
  const list = make("dl", {}, ...facts.map(([name, value]) => make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value }))));
  const more = notes.length ? [make("ul", { className: "bullets" }, ...notes.map((text) => make("li", { lang: "en", textContent: text })))] : [];
  return make("section", { className: "ecgfacts" }, make("h4", { textContent: words.t("ecg.recording") }), list, ...(beats ? [table(beats, card, words)] : []), ...more);
}

function table(beats, card, words) {
  const { labels: titles } = wordsOf(card, words.code), head = ["class", "count", "share"].map((name, i) => make("th", { scope: "col", className: i ? "n" : "", textContent: words.t(`ecg.${name}`) }));
  const rows = countBeats(beats, card.labels).map(([k, n]) =>
    make("tr", {}, make("th", { scope: "row" }, swatch(k), titles[card.labels[k]]), make("td", { className: "n", textContent: words.number(n) }), make("td", { className: "n", textContent: words.percent(n / beats.length) })),
  );
  return make("table", {}, make("caption", { className: "unseen", textContent: words.t("ecg.classes") }), make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
}

/** What stands above the beats of each label: short ones as they are, of others as many letters as tell them apart. */
function lettersOf(labels) {
  const found = [];
  for (const name of labels) {
    let size = name.length <= NAMED ? name.length : 1;
    while (size < name.length && found.includes(name.slice(0, size))) size++;
    found.push(name.slice(0, size) || "?");
  }
  return found;
}

function lengthIn(seconds, words) {
  if (seconds < MINUTES) return words.t("ecg.seconds", { n: secondsIn(seconds, words) });
  const whole = Math.round(seconds);
  return words.t("ecg.minutes", { minutes: words.number(Math.floor(whole / 60)), seconds: words.number(whole % 60) });
}

const secondsIn = (x, words) => words.number(x, Math.abs(x - Math.round(x)) < 0.05 ? 0 : 1);
