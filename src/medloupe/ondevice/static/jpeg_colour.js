// Planes and colours of a JPEG as libjpeg-turbo makes them: upsampling by triangles, YCbCr to RGB in whole numbers.

import { inverse1, inverse2, inverse4, inverse8 } from "./jpeg_idct.js";
import { Unreadable } from "./errors.js";

const INVERSE = { 1: inverse1, 2: inverse2, 4: inverse4, 8: inverse8 };

/** Make pixels of a frame's coefficients: {width, height, channels, data}. */
export function toPixels(frame, quant, scale, { adobe, jfif }) {
  const least = 8 / scale, width = Math.ceil(frame.width / scale), height = Math.ceil(frame.height / scale);
  const planes = frame.components.map((c) => plane(frame, c, quant[c.quant], least, width, height));
  if (planes.length === 1) return { width, height, channels: 1, data: planes[0] };
  const ids = frame.components.map((c) => c.id).join();
  const rgb = !jfif && (adobe >= 0 ? adobe === 0 : ids === "82,71,66");
  return { width, height, channels: 3, data: (rgb ? interleave : convert)(planes, width * height) };
}

/** One component at the picture's size: uint8 (height * width). */
function plane(frame, c, table, least, width, height) {
  if (!table) throw new Unreadable("damaged");
  let size = least; // pixels a block
  const { maxH, maxV } = frame;
  while (size < 8 && (maxH * least) % (c.h * size * 2) === 0 && (maxV * least) % (c.v * size * 2) === 0) size *= 2;
  const stride = c.blocksAcross * size, all = new Uint8Array(stride * c.blocksDown * size);
  const inverse = INVERSE[size];
  for (let y = 0; y < c.blocksDown; y++)
    for (let x = 0; x < c.blocksAcross; x++)
      inverse(c.blocks, 64 * (y * c.blocksAcross + x), table, all, y * size * stride + x * size, stride);
  const own = {
    data: all,
    stride,
    width: Math.ceil((frame.width * c.h * size) / (maxH * 8)),
    height: Math.ceil((frame.height * c.v * size) / (maxV * 8)),
  };
  const across = (maxH * least) / (c.h * size), down = (maxV * least) / (c.v * size);
  const smooth = least > 1 && own.width > 2;
  if (across === 1 && down === 1) return replicate(own, 1, 1, width, height);
  if (across === 2 && down === 1 && smooth) return wider(own, width, height);
  if (across === 2 && down === 2 && smooth) return larger(own, width, height);
  if (across === 1 && down === 2 && least > 1) return higher(own, width, height);
  if (across % 1 || down % 1) throw new Unreadable("form");
  return replicate(own, across, down, width, height);
}

function replicate(p, across, down, width, height) {
  const out = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const from = Math.floor(y / down) * p.stride, to = y * width;
    if (across === 1) out.set(p.data.subarray(from, from + width), to);
    else for (let x = 0; x < width; x++) out[to + x] = p.data[from + Math.floor(x / across)];
  }
  return out;
}

function wider(p, width, height) {
  const out = new Uint8Array(width * height), row = new Uint8Array(2 * p.width), n = p.width, d = p.data;
  for (let y = 0; y < height; y++) {
    const r = y * p.stride;
    row[0] = d[r];
    row[1] = (3 * d[r] + d[r + 1] + 2) >> 2;
    for (let x = 1; x < n - 1; x++) {
      row[2 * x] = (3 * d[r + x] + d[r + x - 1] + 1) >> 2;
      row[2 * x + 1] = (3 * d[r + x] + d[r + x + 1] + 2) >> 2;
    }
    row[2 * n - 2] = (3 * d[r + n - 1] + d[r + n - 2] + 1) >> 2;
    row[2 * n - 1] = d[r + n - 1];
    out.set(row.subarray(0, width), y * width);
  }
  return out;
}

/** The row of a plane above (up) or below another; at the edges the row itself. */
function beside(p, y, up) {
  return Math.min(Math.max(up ? y - 1 : y + 1, 0), p.height - 1) * p.stride;
}

function larger(p, width, height) {
  const out = new Uint8Array(width * height), row = new Uint8Array(2 * p.width), n = p.width, d = p.data;
  const sums = new Int32Array(n);
  for (let y = 0; y < height; y++) {
    const near = (y >> 1) * p.stride, far = beside(p, y >> 1, y % 2 === 0);
    for (let x = 0; x < n; x++) sums[x] = 3 * d[near + x] + d[far + x];
    row[0] = (4 * sums[0] + 8) >> 4;
    row[1] = (3 * sums[0] + sums[1] + 7) >> 4;
    for (let x = 1; x < n - 1; x++) {
      row[2 * x] = (3 * sums[x] + sums[x - 1] + 8) >> 4;
      row[2 * x + 1] = (3 * sums[x] + sums[x + 1] + 7) >> 4;
    }
    row[2 * n - 2] = (3 * sums[n - 1] + sums[n - 2] + 8) >> 4;
    row[2 * n - 1] = (4 * sums[n - 1] + 7) >> 4;
    out.set(row.subarray(0, width), y * width);
  }
  return out;
}

function higher(p, width, height) {
  const out = new Uint8Array(width * height), d = p.data;
  for (let y = 0; y < height; y++) {
    const near = (y >> 1) * p.stride, far = beside(p, y >> 1, y % 2 === 0), bias = y % 2 ? 2 : 1;
    for (let x = 0; x < width; x++) out[y * width + x] = (3 * d[near + x] + d[far + x] + bias) >> 2;
  }
  return out;
}

function interleave([r, g, b], n) {
  const out = new Uint8Array(3 * n);
  for (let i = 0; i < n; i++) {
    out[3 * i] = r[i];
    out[3 * i + 1] = g[i];
    out[3 * i + 2] = b[i];
  }
  return out;
}

function convert([luma, blue, red], n) {
  const out = new Uint8ClampedArray(3 * n);
  for (let i = 0; i < n; i++) {
    const y = luma[i], cb = blue[i] - 128, cr = red[i] - 128;
    out[3 * i] = y + ((91881 * cr + 32768) >> 16);
    out[3 * i + 1] = y + ((-22554 * cb + 32768 - 46802 * cr) >> 16);
    out[3 * i + 2] = y + ((116130 * cb + 32768) >> 16);
  }
  return new Uint8Array(out.buffer);
}
