// Decode PNG files (RFC 2083) of up to 8 bits a sample to L or RGB as Pillow and medloupe's flattening give it.

import { Unreadable } from "./errors.js";

const ADAM7 = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** What a PNG says before its pixels: {width, height, exif}. */
export function readHeader(bytes) {
  const found = { width: 0, height: 0, exif: null };
  for (const { name, body } of chunks(bytes)) {
    if (name === "IHDR") {
      const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
      Object.assign(found, { width: view.getUint32(0), height: view.getUint32(4), depth: body[8], colour: body[9], interlaced: body[12] });
    } else if (name === "eXIf") found.exif = body;
    else if (name === "acTL") throw new Unreadable("form"); // moving pictures: which frame counts the server decides
  }
  if (!found.width || !found.height) throw new Unreadable("damaged");
  return found;
}

/** Decode: {width, height, channels (1 or 3), data}. */
export async function decodePng(bytes) {
  const head = readHeader(bytes);
  const parts = [];
  let palette = null, key = null;
  for (const { name, body } of chunks(bytes, true)) {
    if (name === "IDAT") parts.push(body);
    else if (name === "PLTE") palette = body;
    else if (name === "tRNS") key = body;
  }
  const samples = CHANNELS[head.colour];
  if (!samples || head.depth > 8 || (head.colour === 3 && !palette)) throw new Unreadable("form");
  const raw = await inflate(parts);
  const values = unpack(raw, head, samples);
  return flatten(values, head, palette, key);
}

function* chunks(bytes, checked = false) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at), end = at + 8 + length;
    if (end + 4 > bytes.length) throw new Unreadable("damaged");
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (checked && name[0] < "a" && crc(bytes, at + 4, end) !== view.getUint32(end)) throw new Unreadable("damaged");
    yield { name, body: bytes.subarray(at + 8, end) };
    if (name === "IEND") return;
    at = end + 4;
  }
  throw new Unreadable("damaged");
}

function crc(bytes, from, to) {
  let c = 0xffffffff;
  for (let i = from; i < to; i++) c = CRC[(c ^ bytes[i]) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

async function inflate(parts) {
  try {
    const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new Unreadable("damaged");
  }
}

/** Undo filters and packing: uint8 (height * width * samples). */
function unpack(raw, head, samples) {
  const { width, height, depth } = head;
  const out = new Uint8Array(width * height * samples);
  let at = 0;
  for (const [left, top, right, down] of head.interlaced ? ADAM7 : [[0, 0, 1, 1]]) {
    const w = Math.ceil((width - left) / right), h = Math.ceil((height - top) / down);
    if (w <= 0 || h <= 0) continue;
    const stride = Math.ceil((w * samples * depth) / 8), step = Math.max(1, (samples * depth) >> 3);
    let above = new Uint8Array(stride);
    for (let y = 0; y < h; y++) {
      if (at + 1 + stride > raw.length) throw new Unreadable("damaged");
      const row = raw.subarray(at + 1, at + 1 + stride);
      unfilter(raw[at], row, above, step);
      at += 1 + stride;
      above = row;
      for (let x = 0; x < w * samples; x++) {
        const value = depth === 8 ? row[x] : (row[(x * depth) >> 3] >> (8 - depth - ((x * depth) & 7))) & ((1 << depth) - 1);
        const pixel = (top + y * down) * width + left + Math.floor(x / samples) * right;
        out[pixel * samples + (x % samples)] = value;
      }
    }
  }
  return out;
}

function unfilter(kind, row, above, step) {
  for (let i = 0; i < row.length; i++) {
    const a = i < step ? 0 : row[i - step], b = above[i], c = i < step ? 0 : above[i - step];
    if (kind === 1) row[i] += a;
    else if (kind === 2) row[i] += b;
    else if (kind === 3) row[i] += (a + b) >> 1;
    else if (kind === 4) {
      const p = a + b - c, pa = Math.abs(p - a), pb = Math.abs(p - b), pc = Math.abs(p - c);
      row[i] += pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
    } else if (kind !== 0) throw new Unreadable("damaged");
  }
}

/** To L or RGB; transparency lies over black, unless all is transparent, where it is left out. */
function flatten(values, head, palette, key) {
  const { width, height, depth, colour } = head, n = width * height;
  if (colour === 0 && !key) {
    const scale = 255 / ((1 << depth) - 1);
    return { width, height, channels: 1, data: depth === 8 ? values : values.map((v) => v * scale) };
  }
  if (colour === 2 && !key) return { width, height, channels: 3, data: values };
  const rgba = toRgba(values, n, head, palette, key);
  const alpha = colour === 4 || colour === 6;
  let clear = alpha;
  for (let i = 3; clear && i < rgba.length; i += 4) clear = rgba[i] === 0;
  if (clear && colour === 4) return { width, height, channels: 1, data: values.filter((_, i) => i % 2 === 0), facts: ["transparent"] };
  const data = new Uint8Array(3 * n);
  for (let i = 0; i < n; i++)
    for (let k = 0; k < 3; k++) data[3 * i + k] = clear ? rgba[4 * i + k] : overBlack(rgba[4 * i + k], rgba[4 * i + 3]);
  return { width, height, channels: 3, data, facts: clear ? ["transparent"] : [] };
}

/** As Pillow's alpha_composite over opaque black, with its roundings. */
function overBlack(v, a) {
  const t = v * a * 128 + (128 << 7);
  return ((((t >> 8) + t) >> 8) >> 7) & 255;
}

function toRgba(values, n, { colour, depth }, palette, key) {
  const out = new Uint8Array(4 * n), scale = 255 / ((1 << depth) - 1);
  const wide = key && colour !== 3 ? Array.from({ length: key.length >> 1 }, (_, i) => (key[2 * i] << 8) | key[2 * i + 1]) : null;
  for (let i = 0; i < n; i++) {
    const o = 4 * i;
    if (colour === 3) {
      const v = values[i];
      if (3 * v + 2 >= palette.length) throw new Unreadable("form");
      out.set(palette.subarray(3 * v, 3 * v + 3), o);
      out[o + 3] = key && v < key.length ? key[v] : 255;
    } else if (colour === 0 || colour === 4) {
      const v = colour === 0 ? values[i] : values[2 * i];
      out.fill(colour === 0 ? v * scale : v, o, o + 3);
      out[o + 3] = colour === 4 ? values[2 * i + 1] : wide[0] === v ? 0 : 255;
    } else {
      const from = (colour === 6 ? 4 : 3) * i;
      out.set(values.subarray(from, from + 3), o);
      out[o + 3] = colour === 6 ? values[from + 3] : [0, 1, 2].every((k) => wide[k] === values[from + k]) ? 0 : 255;
    }
  }
  return out;
}
