// Direct exports told at a glance, so that sides are looked for only where there may be any: medloupe/imaging/prescreen.py.
// A glance is the grey version of 104 pixels that quality.js measures, {width, height, data}.

import { argmax, clip, deviation, mean, spread } from "./numbers.js";
import { transposed } from "./lines.js";
import { rimOf } from "./roundfield.js";
import { roundHalfEven } from "./resize.js";

const SLOPES = spread(-0.42, 0.42, 29);
const LEAST_EDGE = 5, APART = 0.28, LEAST_SIDE = 24, RIM = 3;
const BLACK = 1, BRIGHT = 120, SPREAD = 64, LEAST_LIT = 0.015, MOST_LIT = 0.85, PARTS = 10;
const FEW = 52; // pixels of the longer side by which colour is told

/** How far the channels of a plane lie apart on average, by every so many pixels. */
export function colourOf({ width: w, height: h, channels: c, data }) {
  if (c === 1) return 0;
  const step = Math.max(1, Math.min(Math.floor(Math.max(w, h) / FEW), w, h)), across = Math.floor(w / step), down = Math.floor(h / step), half = Math.floor(step / 2);
  let sum = 0;
  for (let y = 0; y < down; y++)
    for (let x = 0; x < across; x++) {
      const i = ((y * step + half) * w + x * step + half) * 3;
      sum += Math.abs(data[i] - data[i + 1]) + Math.abs(data[i + 2] - data[i + 1]);
    }
  return sum / (across * down);
}

/** Whether the sides of a photographed picture could be found. trees: {feature, threshold, leaf, line}. */
export function mayHaveSides(glance, colour, trees) {
  if (Math.min(glance.width, glance.height) < LEAST_SIDE) return true;
  const values = measureFeatures(glance, colour);
  let sum = 0;
  trees.leaf.forEach((leaf, t) => {
    let node = 0;
    for (let depth = 0; depth < 3; depth++) node = 2 * node + 1 + (values[trees.feature[t][node]] > trees.threshold[t][node] ? 1 : 0);
    sum += leaf[node - 7];
  });
  return sum >= trees.line;
}

/** Whether a photographed round field could be found. */
export function mayHaveRoundField(glance) {
  const { width: w, height: h, data } = glance;
  if (Math.min(w, h) < LEAST_SIDE) return true;
  const outermost = quantile(rimOf(glance, 1), 0.5);
  if (!(BLACK < outermost && outermost <= BRIGHT)) return false;
  const rim = rimOf(glance, Math.max(2, roundHalfEven(0.04 * Math.max(w, h)))), [low, dark, high] = [0.1, 0.5, 0.9].map((q) => quantile(rim, q));
  if (high - low > SPREAD) return false;
  const line = dark + Math.max(PARTS, 1.5 * (high - low)), lit = data.reduce((n, v) => n + (v > line ? 1 : 0), 0) / data.length;
  return LEAST_LIT < lit && lit < MOST_LIT;
}

export function measureFeatures(glance, colour) {
  const { width: w, height: h, data: v } = glance;
  const across = new Int16Array(w * h), down = new Int16Array(w * h);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      const i = y * w + x;
      if (x > 0 && x < w - 1) across[i] = v[i + 1] - v[i - 1];
      if (y > 0 && y < h - 1) down[i] = v[i + w] - v[i - w];
    }
  const fields = [across, down].map((data) => ({ width: w, height: h, data }));
  const upright = measureDirection(fields[0], fields[1]), level = measureDirection(transposed(fields[1]), transposed(fields[0]));
  const [weaker, stronger] = upright[0] > level[0] ? [level, upright] : [upright, level];
  const box = (x0, x1, y0, y1) => {
    let sum = 0;
    for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) sum += v[y * w + x];
    return sum / ((x1 - x0) * (y1 - y0));
  };
  const means = [box(0, w, 0, RIM), box(0, w, h - RIM, h), box(0, RIM, 0, h), box(w - RIM, w, 0, h)];
  const rim = Float64Array.from(rimOf(glance, RIM)), dark = Float64Array.from(rim).sort()[Math.floor(rim.length / 2)];
  const [dx, dy] = [Math.floor(w / 4), Math.floor(h / 4)], off = (box(dx, w - dx, dy, h - dy) - dark) / 64;
  const frame = [dark / 128, deviation(rim) / 64, (Math.max(...means) - Math.min(...means)) / 64, off, Math.abs(off), Math.min(h, w) / Math.max(h, w)];
  return [...weaker, ...stronger, Math.exp(-colour / 2), Math.log1p(colour), ...frame];
}

/** The strongest pair of nearly upright edges, and what lies around it. */
function measureDirection({ width: w, height: h, data: across }, { data: down }) {
  const left = Math.ceil(SLOPES[SLOPES.length - 1] * (h / 2)) + 2, wide = w + 2 * left, n = SLOPES.length;
  const counts = new Int32Array(n * wide), columns = new Int32Array(w), rough = new Float64Array(w);
  let edges = 0;
  for (let y = 0; y < h; y++) {
    const rows = SLOPES.map((slope, k) => Math.floor(k * wide + left + 0.5 - slope * (y - (h - 1) / 2)));
    for (let x = 0; x < w; x++) {
      const i = y * w + x, size = Math.abs(across[i]), other = Math.abs(down[i]);
      columns[x] += size;
      rough[x] += other;
      if (size < LEAST_EDGE || 10 * size < 7 * other) continue;
      if (x > 0 && x < w - 1 && !(size >= Math.abs(across[i - 1]) && size > Math.abs(across[i + 1]))) continue;
      edges += 1;
      for (let k = 0; k < n; k++) counts[rows[k] + x] += 1;
    }
  }
  const best = new Float64Array(w); // by the place at half height
  for (let k = 0; k < n; k++)
    for (let x = 0; x < w; x++) {
      const at = k * wide + left + x;
      best[x] = Math.max(best[x], counts[at] + counts[at + 1]);
    }
  const apart = Math.max(1, Math.trunc(APART * w)), before = [];
  for (let x = 0, most = 0; x < w - apart; x++) before.push((most = Math.max(most, best[x])));
  const pair = before.map((v, x) => Math.min(v, best[x + apart])), at = argmax(pair), near = argmax(best.subarray(0, at + 1)), far = at + apart;
  for (let x = 0; x < w; x++) rough[x] /= h;
  const around = [...rough.subarray(0, Math.max(1, near - 2)), ...(far + 3 < w ? rough.subarray(far + 3) : rough.subarray(w - 1))];
  const between = far - 2 > near + 3 ? rough.subarray(near + 3, far - 2) : rough;
  const step = (x) => [-1, 0, 1].reduce((sum, d) => sum + (columns[x + d] ?? 0), 0) / h;
  const together = before.map((v, x) => v + best[x + apart]);
  return [
    pair[at] / h, Math.max(...together) / h, Math.max(...best) / h, edges / (h * w), Float64Array.from(best).sort()[Math.floor(w / 2)] / h, near / w, 1 - far / w,
    ...[mean(around), mean(between), Math.max(...around), step(near), step(far)].map(Math.log1p),
  ];
}

/** The level that a share of them does not exceed. */
function quantile(levels, share) {
  const counts = new Int32Array(256);
  for (const v of levels) counts[clip(v, 0, 255)] += 1;
  for (let v = 0, sum = 0; v < 256; v++) if ((sum += counts[v]) >= share * levels.length) return v;
  return 256;
}
