// An ECG on paper as SVG, 25 mm a second and 10 mm a millivolt: medloupe/ecg/paper.py. The drawing's unit is the millimetre.

import { percentile } from "./numbers.js";
import { hasNumbers, keepRecorded, secondsOf } from "./ecg_signal.js";

/** Of classes, in the order of the labels. */
export const COLOURS = ["#0b6e4f", "#d1495b", "#7b2cbf", "#c77700", "#1d6fa5", "#6b705c"];

const SPEED = 25, GAIN = 10, SHEET_SECONDS = 10, POINTS = 200, MARGIN = 3, PULSE = 9, LEAST = 14, MOST = 60, ABOVE = 5, BELOW = 5, INK = "#1a1a1a";
const SHEET = [["I", "aVR", "V1", "V4"], ["II", "aVL", "V2", "V5"], ["III", "aVF", "V3", "V6"]];

/** Draw the leads, one below the other. marks: [{second, letter, colour, words}]; attention: at the signal's samples, 0 to 1, or null; start: second; title: for those who do not see it. */
export function drawStrip(signal, { marks = [], attention = null, start = 0, seconds = null, title }) {
  const shown = cutTime(keepRecorded(signal), start, seconds), length = secondsOf(shown);
  return draw(shown, shown.leads.map((_, k) => [{ lead: k, begin: 0, end: length }]), { marks, attention, start, title });
}

/** Whether there is enough of it for the usual sheet. */
export function hasSheet(signal) {
  const { leads } = keepRecorded(signal);
  return SHEET.flat().every((name) => leads.includes(name)) && secondsOf(signal) >= 0.9 * SHEET_SECONDS;
}

/** Draw twelve leads as usual: three rows of four leads, and lead II all along below. Time runs on from column to column. */
export function drawSheet(signal, { attention = null, title }) {
  const shown = cutTime(signal, 0, SHEET_SECONDS), length = secondsOf(shown), step = length / 4, at = (name) => shown.leads.indexOf(name);
  const rows = SHEET.map((names) => names.map((name, i) => ({ lead: at(name), begin: i * step, end: (i + 1) * step })));
  return draw(shown, [...rows, [{ lead: at("II"), begin: 0, end: length }]], { marks: [], attention, start: 0, title });
}

function cutTime(signal, start, seconds) {
  const first = Math.round(start * signal.rate), last = seconds === null ? undefined : Math.round((start + seconds) * signal.rate);
  return { ...signal, samples: signal.samples.map((lead) => lead.subarray(first, last)) };
}

/** Where a second of the drawing lies, in mm. */
const xOf = (second) => MARGIN + PULSE + second * SPEED;
const short = (v, digits = 1) => v.toFixed(digits);

function element(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function draw(shown, rows, { marks, attention, start, title }) {
  const length = secondsOf(shown), heights = rows.map((row) => heightOf(shown, row)), above = MARGIN + (marks.length ? ABOVE : 0);
  const bottom = above + heights.reduce((sum, { tall }) => sum + tall, 0), width = short(2 * MARGIN + PULSE + length * SPEED), height = short(bottom + BELOW);
  const drawn = element("svg", { class: "paper", viewBox: `0 0 ${width} ${height}`, width: `${width}mm`, height: `${height}mm`, role: "img", "aria-label": title });
  drawn.append(...grid(Number(width), Number(height)));
  if (attention) drawn.append(shade(attention, shown.rate, start, length, above, bottom));
  const stretches = stretchesOf(marks, start, length);
  let at = above;
  rows.forEach((row, r) => {
    const zero = at + heights[r].top;
    drawn.append(element("path", { d: `M${MARGIN} ${short(zero)}h1.5v${-GAIN}h${0.2 * SPEED}v${GAIN}h1.5`, stroke: INK, "stroke-width": 0.3, fill: "none" })); // 1 mV high and 200 ms long
    for (const piece of row) {
      drawn.append(...trace(shown.samples[piece.lead], shown.rate, zero, stretches, piece));
      const x = xOf(piece.begin);
      if (piece.begin) drawn.append(element("path", { d: `M${short(x)} ${short(zero - 3)}v6`, stroke: INK, "stroke-width": 0.25 }));
      drawn.append(text(shown.leads[piece.lead] || "?", x + 1, at + 4, 3.6, INK, { "font-weight": 600, stroke: "#fff", "stroke-width": 0.8, "paint-order": "stroke" }));
    }
    at += heights[r].tall;
  });
  for (const mark of marks) if (mark.second >= start && mark.second < start + length) drawn.append(letterOf(mark, start));
  drawn.append(...scale(start, length, bottom));
  return drawn;
}

/** Where a row's zero lies below its top, and the row's height, in mm. */
function heightOf({ samples, rate }, row) {
  let [highest, lowest] = [0, 0];
  for (const { lead, begin, end } of row) {
    const known = samples[lead].subarray(Math.round(begin * rate), Math.round(end * rate)).filter(Number.isFinite);
    if (known.length) [highest, lowest] = [Math.max(highest, GAIN * percentile(known, 0.999)), Math.min(lowest, GAIN * percentile(known, 0.001))];
  }
  const top = Math.max(GAIN + 1, highest + 3), bottom = Math.max(5, 2.5 - lowest), fit = Math.min(1, MOST / (top + bottom)); // the pulse fits, too
  return { top: top * fit, tall: Math.max(LEAST, (top + bottom) * fit) };
}

function text(words, x, y, size, colour, more = {}) {
  return element("text", { x: short(x), y: short(y), "font-size": size, "font-family": "sans-serif", fill: colour, ...more }, words);
}

/** The seconds, and what the squares are. */
function scale(start, length, bottom) {
  const said = 40 / SPEED, first = length > said ? Math.ceil(start + said) : Math.floor(start + length) + 1;
  const drawn = [text(`${SPEED} mm/s, ${GAIN} mm/mV`, MARGIN, bottom + 4, 2.8, "#555")];
  for (let second = first; second <= Math.floor(start + length); second++) {
    const x = xOf(second - start);
    drawn.push(element("path", { d: `M${short(x)} ${short(bottom)}v1.2`, stroke: "#555", "stroke-width": 0.2 }));
    if (x < xOf(length) - 2) drawn.push(text(`${second} s`, x, bottom + 4, 2.8, "#555", { "text-anchor": "middle" }));
  }
  return drawn;
}

/** Small squares of 1 mm (40 ms, 0.1 mV), large ones of 5 mm (200 ms, 0.5 mV). */
function grid(width, height) {
  const lines = (step) => {
    let d = "";
    for (let x = xOf(0) % step; x < width; x += step) d += `M${x.toFixed(0)} 0V${height}`;
    for (let y = MARGIN % step; y < height; y += step) d += `M0 ${y.toFixed(0)}H${width}`;
    return d;
  };
  return [
    element("rect", { width, height, fill: "#fffafa" }),
    element("path", { d: lines(1), stroke: "#f6d5d5", "stroke-width": 0.1, fill: "none" }),
    element("path", { d: lines(5), stroke: "#eaa9a9", "stroke-width": 0.2, fill: "none" }),
  ];
}

/** [from, to, colour] in seconds of the drawing: a beat reaches from half way after the beat before to half way before the next. */
function stretchesOf(marks, start, length) {
  const inside = marks.filter(({ second }) => second >= start - 1 && second < start + length + 1);
  return inside.map(({ second, colour }, i) => {
    const before = i ? second - 0.5 * Math.min(1.2, second - inside[i - 1].second) : second - 0.35;
    const after = second + (i + 1 === inside.length ? 0.5 : 0.5 * Math.min(1.4, inside[i + 1].second - second));
    return [before - start, after - start, colour];
  });
}

function trace(lead, rate, zero, stretches, { begin, end }) {
  if (!hasNumbers(lead)) return [];
  const step = Math.max(1, Math.floor(rate / POINTS)), at = [], pieces = [];
  for (let i = Math.round(begin * rate); i < Math.min(lead.length, Math.round(end * rate)); i += step) at.push(i);
  const place = (second) => {
    const found = at.findIndex((i) => i / rate >= second);
    return found < 0 ? at.length : found;
  };
  let done = 0;
  for (const [from, to, colour] of stretches) {
    const [a, b] = [place(from), place(to)];
    if (a > done) pieces.push([done, a, INK], [a, b, colour]);
    else pieces.push([Math.max(done, a), b, colour]);
    done = Math.max(done, b);
  }
  pieces.push([done, at.length, INK]);
  const drawn = pieces.filter(([a, b]) => b > a);
  return drawn.map(([a, b, colour]) => element("path", { d: pathOf(at.slice(Math.max(0, a - 1), b), lead, rate, zero), stroke: colour, "stroke-width": 0.35, fill: "none", "stroke-linejoin": "round" }));
}

function pathOf(at, lead, rate, zero) {
  let d = "", pen = "M";
  for (const i of at) {
    if (Number.isNaN(lead[i])) pen = "M"; // a gap in the recording
    else {
      d += `${pen}${xOf(i / rate).toFixed(2)} ${(zero - lead[i] * GAIN).toFixed(2)}`;
      pen = " "; // a line, after the first
    }
  }
  return d;
}

/** Bands behind the traces, the darker the more the network found there. */
function shade(attention, rate, start, length, top, bottom) {
  const part = attention.subarray(Math.round(start * rate), Math.round((start + length) * rate)), width = Math.max(1, Math.round(0.02 * rate));
  const bands = element("g", { class: "shade", fill: "#ffb703" });
  for (let i = 0; i < part.length; i += width) {
    const value = Math.max(...part.subarray(i, i + width));
    if (value > 0.15) bands.append(element("rect", { x: xOf(i / rate).toFixed(2), y: short(top), width: ((width / rate) * SPEED).toFixed(2), height: short(bottom - top), "fill-opacity": (0.45 * value).toFixed(2) }));
  }
  return bands;
}

function letterOf({ second, letter, colour, words }, start) {
  const drawn = text(letter, xOf(second - start), MARGIN + 3.2, 3.4, colour, { "text-anchor": "middle", "font-weight": 700 });
  drawn.append(element("title", {}, words));
  return drawn;
}
