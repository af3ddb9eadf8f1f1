// How a picture was taken, and whether it can be used: medloupe/imaging/quality.py in whole numbers alike.

import { resize, roundHalfEven, shrink } from "./resize.js";

const SIDES = [208, 104, 48];
const TAPS = 7;

/** Luminance 0 to 255, as Pillow's convert("L"). */
function toGrey(plane) {
  if (plane.channels === 1) return plane;
  const n = plane.width * plane.height, data = new Uint8Array(n), d = plane.data;
  for (let i = 0; i < n; i++) data[i] = (d[3 * i] * 19595 + d[3 * i + 1] * 38470 + d[3 * i + 2] * 7471 + 0x8000) >> 16;
  return { ...plane, channels: 1, data };
}

function toSide(grey, box, [width, height], side) {
  const longer = Math.max(width, height);
  const [w, h] = longer > side ? [width, height].map((s) => Math.max(1, roundHalfEven((s * side) / longer))) : [width, height];
  if (w === grey.width && h === grey.height && !box) return grey;
  const whole = box ?? [0, 0, grey.width, grey.height];
  if (w === grey.width && h === grey.height && whole[0] === 0 && whole[1] === 0 && whole[2] === w && whole[3] === h) return grey;
  return shrink(grey, w, h, whole, 2);
}

const greys = new WeakMap(); // by plane, as the box of one is always the same

/** The grey version of a picture on which it is measured. */
function greyOf({ plane, box }) {
  if (!greys.has(plane)) greys.set(plane, makeGrey(plane, box));
  return greys.get(plane);
}

function makeGrey(plane, box) {
  const w = Math.max(1, roundHalfEven(box[2] - box[0])), h = Math.max(1, roundHalfEven(box[3] - box[1]));
  return toSide(toGrey(plane), box, [w, h], Math.min(SIDES[0], Math.max(w, h)));
}

/** A picture in grey, of 104 pixels at most: by it prescreen.js tells it from a photograph. */
export function glanceOf(picture) {
  const grey = greyOf(picture);
  return toSide(grey, null, [grey.width, grey.height], SIDES[1]);
}

/** Measure a decoded picture ({plane, box, width, height}); NaN where that cannot be measured. */
export function measure({ plane, box, width, height }) {
  const grey = greyOf({ plane, box }), light = grey.data, side = Math.max(grey.width, grey.height);
  const counts = new Float64Array(256);
  let least = 255, most = 0;
  for (const v of light) {
    counts[v] += 1;
    if (v < least) least = v;
    if (v > most) most = v;
  }
  let sum = 0, low = -1, high = -1, white = 0;
  for (let v = 0; v < 256; v++) {
    sum += counts[v];
    if (low < 0 && sum / light.length >= 0.05) low = v;
    if (high < 0 && sum / light.length >= 0.95) high = v;
    if (v >= 250) white += counts[v];
  }
  const blurs = SIDES.map((s) => (side >= s ? blur(toSide(grey, null, [grey.width, grey.height], s)) : NaN));
  return {
    shorter: Math.min(width, height),
    aspect: Math.max(width, height) / Math.max(1, Math.min(width, height)),
    contrast: most - least,
    highlights: high,
    shadows: low,
    spread: high - low,
    white: white / light.length,
    glare: white ? glare(grey, side) : 0,
    blur: blurs[0],
    blur_half: blurs[1],
    blur_small: blurs[2],
    frame: frame(grey, least, high, side),
  };
}

function blur(grey) {
  let worst = NaN;
  for (const across of [true, false]) {
    const n = across ? grey.width : grey.height, m = across ? grey.height : grey.width;
    if (n <= TAPS + 1) continue;
    const step = across ? 1 : grey.width, line = across ? grey.width : 1;
    let total = 0, lost = 0;
    for (let y = 0; y < m; y++)
      for (let x = 0; x + TAPS + 1 < n; x++) {
        const at = y * line + x * step, mid = at + 5 * step;
        const change = TAPS * Math.abs(grey.data[mid] - grey.data[mid - step]);
        const smooth = Math.abs(grey.data[at + (TAPS + 1) * step] - grey.data[at + step]);
        total += change;
        lost += Math.max(0, change - smooth);
      }
    if (total > 0) worst = Number.isNaN(worst) ? 1 - lost / total : Math.max(worst, 1 - lost / total);
  }
  return worst;
}

function glare(grey, side) {
  const size = Math.max(3, Math.floor(Math.trunc(side * (1 / 23)) / 2) * 2 + 1), reach = size >> 1;
  const { width: w, height: h } = grey;
  let patch = Uint8Array.from(grey.data, (v) => (v >= 250 ? 1 : 0));
  for (const all of [true, false]) patch = near(near(patch, w, h, 1, w, reach, all), h, w, w, 1, reach, all);
  const y0 = Math.trunc(h * 0.12), x0 = Math.trunc(w * 0.12);
  let count = 0;
  for (let y = y0; y < h - y0; y++) for (let x = x0; x < w - x0; x++) count += patch[y * w + x];
  return count / Math.max(1, (h - 2 * y0) * (w - 2 * x0));
}

/** Whether all, or any, within `reach` are 1, along m lines of n places: those of a line `step` apart, lines `line` apart. */
function near(data, n, m, step, line, reach, all) {
  const out = new Uint8Array(data.length);
  for (let y = 0; y < m; y++) {
    let count = 0;
    for (let x = 0; x < Math.min(reach, n); x++) count += data[y * line + x * step];
    for (let x = 0; x < n; x++) {
      if (x + reach < n) count += data[y * line + (x + reach) * step];
      if (x > reach) count -= data[y * line + (x - reach - 1) * step];
      const there = Math.min(x + reach, n - 1) - Math.max(x - reach, 0) + 1;
      out[y * line + x * step] = (all ? count === there : count > 0) ? 1 : 0;
    }
  }
  return out;
}

function frame({ data, width: w, height: h }, dark, high, side) {
  const n = Math.max(1, roundHalfEven(side * 0.02)), limit = dark + Math.max(8, 0.12 * (high - dark));
  let bright = 0, all = 0;
  const look = (y, x) => {
    all += 1;
    if (data[y * w + x] > limit) bright += 1;
  };
  const rows = Math.min(n, h), columns = Math.min(n, w);
  for (let k = 0; k < rows; k++) for (let x = 0; x < w; x++) (look(k, x), look(h - rows + k, x));
  for (let k = 0; k < columns; k++) for (let y = 0; y < h; y++) (look(y, k), look(y, w - columns + k));
  return bright / all;
}

/** Why a picture cannot be used, as a code; null where it can. rules: the card's {least_side, least_contrast, bounds, limits, dim}. */
export function findFault(measures, rules) {
  if (measures.shorter < rules.least_side) return "too_small";
  if (measures.contrast < rules.least_contrast) return "blank";
  for (const { code, measure: name, above } of rules.bounds) {
    const limit = rules.limits[name], value = measures[name];
    if (limit === undefined || !(above ? value > limit : value < limit)) continue;
    const dark = measures.highlights < rules.dim && measures.shadows < measures.highlights / 2;
    return name === "spread" && dark ? "too_dark" : code;
  }
  return null;
}
