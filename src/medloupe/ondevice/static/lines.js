// Straight edges in a small picture by the Hough transform: medloupe/imaging/lines.py, alike step by step.
// A field is {width, height, data}: numbers of height * width.

import { argmax, spread } from "./numbers.js";
import { roundHalfEven } from "./resize.js";

const SLOPES = spread(-0.42, 0.42, 43); // sideways steps a step along
const LEAST_EDGE = 3; // levels across two pixels
const CAPPED = 18; // levels from which on an edge counts no more
const NEAR = 4; // pixels within which two lines are one
const MOST_POINTS = 1800;

/** Of differences of `channels` channels at `at` in two arrays that of the channel that differs most. */
export function strongest(one, i, other, j, channels) {
  let found = one[i] - other[j];
  for (let c = 1; c < channels; c++) {
    const next = one[i + c] - other[j + c];
    if (Math.abs(next) > Math.abs(found)) found = next;
  }
  return found;
}

/** Differences across two pixels to the right and downwards, 0 in the rim: {across, down} as fields. */
export function differences({ width: w, height: h, channels: c, data }) {
  const across = new Float32Array(w * h), down = new Float32Array(w * h), row = w * c;
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      const at = y * row + x * c;
      if (x > 0 && x < w - 1) across[y * w + x] = strongest(data, at + c, data, at - c, c);
      if (y > 0 && y < h - 1) down[y * w + x] = strongest(data, at + row, data, at - row, c);
    }
  return { across: { width: w, height: h, data: across }, down: { width: w, height: h, data: down } };
}

export function transposed({ width: w, height: h, data }) {
  const out = new data.constructor(data.length);
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) out[x * h + y] = data[y * w + x];
  return { width: h, height: w, data: out };
}

/** The straight edges that are nearly upright: {start, slope, light, dark}; counts of each line are of height + 1. */
export function findLines(across, down, most) {
  const { width: w, height: h } = across, edge = edgesOf(across, down);
  const at = strongestPoints(edge, across.data);
  const { votes, left, wide } = vote(at, across.data, h, w);
  const { start, slope } = peaks(votes, left, wide, h, most);
  return { start, slope, ...follow(across, edge, start, slope) };
}

function edgesOf({ width: w, height: h, data }, { data: down }) {
  const edge = new Uint8Array(w * h);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      const i = y * w + x, size = Math.abs(data[i]);
      // the factor is a single-precision one there, too
      if (size < LEAST_EDGE || size < Math.fround(Math.fround(0.7) * Math.abs(down[i]))) continue;
      edge[i] = x > 0 && x < w - 1 && !(size >= Math.abs(data[i - 1]) && size > Math.abs(data[i + 1])) ? 0 : 1;
    }
  return edge;
}

/** The places of edges, in their order; where there are very many, those at least as strong as the last of the strongest. */
function strongestPoints(edge, data) {
  const all = [];
  for (let i = 0; i < edge.length; i++) if (edge[i]) all.push(i);
  if (all.length <= MOST_POINTS) return all;
  const line = Float32Array.from(all, (i) => Math.abs(data[i])).sort()[all.length - MOST_POINTS];
  return all.filter((i) => Math.abs(data[i]) >= line);
}

function vote(points, data, h, w) {
  const left = Math.ceil(SLOPES[SLOPES.length - 1] * (h / 2)) + 2, wide = w + 2 * left, n = SLOPES.length;
  const counts = new Float64Array(n * wide), votes = new Float64Array(n * wide), f = Math.fround;
  for (let k = 0; k < n; k++) {
    const shift = f(f(k * wide) + (left + 0.5)), slope = f(SLOPES[k]);
    for (const i of points) {
      const x = i % w, y = (i - x) / w - h / 2;
      counts[Math.trunc(f(f(shift - f(slope * y)) + x))] += Math.min(Math.abs(data[i]), CAPPED) + CAPPED / 2;
    }
  }
  for (let i = 0; i < counts.length; i++) {
    const j = i % wide;
    votes[i] = j > 0 && j < wide - 1 ? counts[i] + 0.5 * (counts[i - 1] + counts[i + 1]) : counts[i];
  }
  return { votes, left, wide };
}

function peaks(votes, left, wide, h, most) {
  const start = [], slope = [], top = new Float64Array(votes.length), end = new Float64Array(votes.length);
  for (let i = 0; i < votes.length; i++) {
    const middle = (i % wide) - left, off = SLOPES[Math.floor(i / wide)] * (h / 2);
    top[i] = middle - off;
    end[i] = middle + off;
  }
  for (let n = 0; n < most; n++) {
    const k = argmax(votes), [a, b] = [top[k], end[k]];
    if (votes[k] <= 0) break;
    start.push(a);
    slope.push(SLOPES[Math.floor(k / wide)]);
    for (let i = 0; i < votes.length; i++) if (Math.abs(top[i] - a) < NEAR && Math.abs(end[i] - b) < NEAR) votes[i] = 0;
  }
  return { start, slope };
}

/** Along each line in how many of the first rows an edge lies on it: to lighter, and to darker. */
function follow({ width: w, height: h, data }, edge, start, slope) {
  const light = [], dark = [];
  for (let n = 0; n < start.length; n++) {
    const up = new Float64Array(h + 1), off = new Float64Array(h + 1);
    for (let y = 0; y < h; y++) {
      const at = roundHalfEven(start[n] + slope[n] * y);
      let lighter = 0, darker = 0;
      for (let x = Math.max(0, at - 1); x <= Math.min(w - 1, at + 1); x++)
        if (edge[y * w + x]) data[y * w + x] > 0 ? (lighter = 1) : (darker = 1);
      up[y + 1] = up[y] + lighter;
      off[y + 1] = off[y] + darker;
    }
    light.push(up);
    dark.push(off);
  }
  return { light, dark };
}
