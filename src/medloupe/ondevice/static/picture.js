// From a file to the pixels that a network reads and the measures of its quality, as medloupe/imaging does it.

import { decodeJpeg, readHeader as jpegHeader } from "./jpeg.js";
import { decodePng, readHeader as pngHeader } from "./png.js";
import { Unreadable } from "./errors.js";
import { resize, roundHalfEven } from "./resize.js";

const MOST_PIXELS = 40e6; // that are decoded here: phones have little memory
const DRAFT_FACTOR = 2; // a JPEG is decoded no smaller than so many times the side that is needed

/** "JPEG", "PNG" or null, from the first bytes. */
export function sniff(bytes) {
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return "JPEG";
  return [137, 80, 78, 71, 13, 10, 26, 10].every((v, i) => bytes[i] === v) ? "PNG" : null;
}

/** Decode a file upright: {plane, box, width, height, kind, facts}. side: to which it will be fitted. */
export async function decode(bytes, side) {
  const kind = sniff(bytes);
  if (!kind) throw new Unreadable("kind");
  try {
    return kind === "JPEG" ? decodeLossy(bytes, side) : await decodeLossless(bytes);
  } catch (e) {
    if (e instanceof RangeError || e instanceof TypeError) throw new Unreadable("damaged");
    throw e;
  }
}

function decodeLossy(bytes, side) {
  const head = jpegHeader(bytes);
  if (head.width * head.height > MOST_PIXELS) throw new Unreadable("large");
  const scale = draftScale(head.width, head.height, side);
  let plane = decodeJpeg(bytes, scale);
  let box = [0, 0, head.width / scale, head.height / scale];
  const turn = orientation(head.exif);
  let { width, height } = head;
  if (turn > 1) {
    plane = turned(plane, turn);
    let [, , w, h] = box;
    if (turn >= 5) [w, h, width, height] = [h, w, height, width];
    const left = [2, 3, 6, 7].includes(turn) ? plane.width - w : 0, top = [3, 4, 7, 8].includes(turn) ? plane.height - h : 0;
    box = [left, top, left + w, top + h];
  }
  return { plane, box, width, height, kind: "JPEG", facts: [] };
}

/** By how much a JPEG is scaled down while it is decoded, as Pillow's draft takes what decode.py asks. */
function draftScale(w, h, side) {
  let asked = 1;
  for (const s of [2, 4, 8]) if (Math.max(w, h) >= s * DRAFT_FACTOR * side) asked = s;
  if (asked === 1) return 1;
  const most = Math.min(Math.floor(w / Math.max(1, Math.floor(w / asked))), Math.floor(h / Math.max(1, Math.floor(h / asked))));
  return [8, 4, 2, 1].find((s) => most >= s);
}

async function decodeLossless(bytes) {
  const head = pngHeader(bytes);
  if (head.width * head.height > MOST_PIXELS) throw new Unreadable("large");
  const plane = turned(await decodePng(bytes), orientation(head.exif));
  return whole(plane, "PNG", plane.facts);
}

/** A picture of which every pixel of a plane counts. */
export function whole(plane, kind, facts = []) {
  return { plane, box: [0, 0, plane.width, plane.height], width: plane.width, height: plane.height, kind, facts };
}

/** The orientation, 1 to 8, of an EXIF block; 1 where it has none or is broken. */
export function orientation(exif) {
  if (!exif) return 1;
  const from = String.fromCharCode(...exif.subarray(0, 6)) === "Exif\0\0" ? 6 : 0;
  const view = new DataView(exif.buffer, exif.byteOffset + from, exif.byteLength - from);
  try {
    const order = view.getUint32(0), little = order === 0x49492a00;
    if (!little && order !== 0x4d4d002a) return 1;
    const at = view.getUint32(4, little), entries = view.getUint16(at, little);
    let found = 1;
    for (let k = 0; k < entries; k++) {
      const entry = at + 2 + 12 * k, kind = view.getUint16(entry + 2, little), count = view.getUint32(entry + 4, little);
      if (view.getUint16(entry, little) !== 0x0112) {
        view.getUint8(entry + 11); // a directory that is cut short is none
        continue;
      }
      const value = kind === 3 ? view.getUint16(entry + 8, little) : kind === 4 ? view.getUint32(entry + 8, little) : kind === 1 ? view.getUint8(entry + 8) : 0;
      found = count === 1 && value >= 1 && value <= 8 ? value : 1;
    }
    return found;
  } catch {
    return 1;
  }
}

function turned(plane, turn) {
  if (turn <= 1) return plane;
  const { width, height, channels: n, data } = plane;
  const [w, h] = turn >= 5 ? [height, width] : [width, height];
  const out = new Uint8Array(data.length);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      // where the pixel at (x, y) comes from
      let [u, v] = turn >= 5 ? [y, x] : [x, y];
      if ([2, 3, 7, 8].includes(turn)) u = width - 1 - u;
      if ([3, 4, 6, 7].includes(turn)) v = height - 1 - v;
      for (let k = 0; k < n; k++) out[(y * w + x) * n + k] = data[(v * width + u) * n + k];
    }
  return { ...plane, width: w, height: h, data: out };
}

/** Where a picture lies once it is fitted to a square: {left, top, width, height}. */
export function fittedFrame(width, height, size) {
  const longer = Math.max(width, height);
  const [w, h] = [width, height].map((side) => Math.max(1, roundHalfEven((side * size) / longer)));
  return { left: Math.floor((size - w) / 2), top: Math.floor((size - h) / 2), width: w, height: h };
}

/** Fit for a network: uint8 RGB of size * size * 3. */
export function fit({ plane, box }, size) {
  const boxWidth = box[2] - box[0], boxHeight = box[3] - box[1];
  const frame = fittedFrame(boxWidth, boxHeight, size);
  const same = plane.width === frame.width && plane.height === frame.height && boxWidth === frame.width && boxHeight === frame.height;
  const { data, channels } = same ? plane : resize(plane, frame.width, frame.height, "bicubic", box);
  const out = new Uint8Array(size * size * 3);
  for (let y = 0; y < frame.height; y++)
    for (let x = 0; x < frame.width; x++)
      for (let c = 0; c < 3; c++)
        out[((y + frame.top) * size + x + frame.left) * 3 + c] = data[(y * frame.width + x) * channels + (channels === 1 ? 0 : c)];
  return out;
}

/** The negative of a fitted grey picture, its padding left black; null where it has colours. */
export function negativeOf(fitted, width, height, size) {
  for (let i = 0; i < fitted.length; i += 3) {
    const low = Math.min(fitted[i], fitted[i + 1], fitted[i + 2]), high = Math.max(fitted[i], fitted[i + 1], fitted[i + 2]);
    if (high - low > 3) return null;
  }
  const frame = fittedFrame(width, height, size), out = fitted.slice();
  for (let y = frame.top; y < frame.top + frame.height; y++)
    for (let i = (y * size + frame.left) * 3; i < (y * size + frame.left + frame.width) * 3; i++) out[i] = 255 - fitted[i];
  return out;
}
