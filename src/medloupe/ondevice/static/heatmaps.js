// Where in the picture a linear head found its evidence: medloupe/model/heatmaps.py, whose drawing this gives to the last bit.

import { resize } from "./resize.js";

const COLOUR = [214, 59, 29]; // vermilion
const STRONGEST = 170; // opacity of the strongest place

/** What speaks for labels: {size (places a side), alpha (by label, 0 to 170 for each place)}. map: (dimension, places), of which the head reads the first `width`; shown: numbers of labels. */
export function evidence(map, dimension, { weight, width }, { labels, task }, shown) {
  const places = map.length / dimension, parts = [];
  for (let k = 0; k < labels.length; k++) {
    const part = new Float64Array(places);
    for (let d = 0; d < width; d++) {
      const w = weight[k * width + d];
      for (let i = 0; w && i < places; i++) part[i] += w * map[d * places + i];
    }
    parts.push(part);
  }
  const alpha = {};
  for (const k of shown) {
    const positive = labelEvidence(parts, k, task).map((v) => Math.max(v, 0)), strongest = Math.max(...positive);
    alpha[labels[k]] = Uint8Array.from(positive, (v) => (strongest > 0 ? Math.fround(v / strongest) * STRONGEST : 0));
  }
  return { size: Math.round(Math.sqrt(places)), alpha };
}

/** What speaks for a label at each place, above 0 where more than on average; parts: for each label what each place adds to its logit. Of exclusive classes the difference to the strongest other. */
export function labelEvidence(parts, k, task) {
  let own = parts[k];
  if (task !== "multilabel" && parts.length > 1) {
    const sums = parts.map((part) => part.reduce((a, b) => a + b, 0)), other = sums.reduce((best, sum, i) => (i !== k && (best < 0 || sum > sums[best]) ? i : best), -1);
    own = own.map((v, i) => v - parts[other][i]);
  }
  const middle = own.reduce((a, b) => a + b, 0) / own.length;
  return own.map((v) => v - middle);
}

/** Opacities laid over the picture without its padding: {width, height, data}. side: of the fitted square; frame: where the picture lies in it. */
export function overlay(alpha, size, side, { left, top, width, height }) {
  const whole = resize({ width: size, height: size, channels: 1, data: alpha }, side, side, "bicubic"), data = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) data.set(whole.data.subarray((y + top) * side + left, (y + top) * side + left + width), y * width);
  return { width, height, data };
}

/** Draw opacities in colour on a canvas of their size. */
export function paint({ width, height, data }) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height }), context = canvas.getContext("2d"), image = context.createImageData(width, height);
  for (let i = 0; i < data.length; i++) image.data.set([...COLOUR, data[i]], 4 * i);
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Draw a plane on a canvas of its size. */
export function paintPlane({ width, height, channels, data }) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height }), context = canvas.getContext("2d"), image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = data[channels === 1 ? i : 3 * i + c];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
