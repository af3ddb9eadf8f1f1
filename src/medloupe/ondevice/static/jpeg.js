// Decode JPEG files to the very levels that libjpeg-turbo gives (ITU T.81; sequential and progressive Huffman, 8 bits).
// Its slow integer transform, its smooth upsampling and its reduced sizes are ported in jpeg_idct.js and jpeg_colour.js.
// Whatever is damaged, cut short or of another form is refused: a picture read otherwise would get another answer.

import { Bits, huffman } from "./jpeg_bits.js";
import { toPixels } from "./jpeg_colour.js";
import { Unreadable } from "./errors.js";

const ZIGZAG = new Uint8Array([
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
  35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47,
  55, 62, 63,
]);
const MOST = 2048; // a coefficient of 8-bit levels has at most 1024, and rounding adds half of a quantisation

/** What a JPEG says before its pixels: {width, height, exif}; exif is the block with the orientation, or null. */
export function readHeader(bytes) {
  const found = walk(bytes, (frame, exif) => ({ width: frame.width, height: frame.height, exif }));
  return found;
}

/** Decode at 1/scale of the size (1, 2, 4 or 8): {width, height, channels (1 or 3), data}. */
export function decodeJpeg(bytes, scale = 1) {
  const tables = { quant: [], dc: [], ac: [], restart: 0 };
  let frame = null, adobe = -1, jfif = false, scans = 0, at = 2, ended = false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  while (!ended) {
    if (bytes[at] !== 0xff) throw new Unreadable("damaged"); // libjpeg would look for the next marker, with a warning
    at = nextMarker(bytes, at);
    const code = bytes[at++];
    if (code === 0xd9) break;
    if (code === 0xd8 || code === 0x01 || (code >= 0xd0 && code <= 0xd7)) continue;
    const length = segmentLength(view, bytes, at), end = at + length, body = at + 2;
    if (code === 0xdb) readQuantisation(bytes, body, end, tables.quant);
    else if (code === 0xc4) readHuffman(bytes, body, end, tables);
    else if (code === 0xdd) tables.restart = view.getUint16(body);
    else if (code === 0xe0) jfif ||= text(bytes, body, 4) === "JFIF";
    else if (code === 0xee && length >= 14 && text(bytes, body, 5) === "Adobe") adobe = bytes[body + 11];
    else if (code === 0xc0 || code === 0xc1 || code === 0xc2) {
      if (frame) throw new Unreadable("form");
      frame = readFrame(view, bytes, body, code === 0xc2);
    } else if (code >= 0xc3 && code <= 0xcf && code !== 0xc8 && code !== 0xcc) throw new Unreadable("form");
    else if (code === 0xda) {
      if (!frame) throw new Unreadable("damaged");
      at = readScan(bytes, body, end, frame, tables);
      scans += 1;
      continue;
    }
    at = end;
  }
  if (!frame || !scans || frame.components.some((c) => !isComplete(c, frame, tables.quant))) throw new Unreadable("damaged");
  return toPixels(frame, tables.quant, scale, { adobe, jfif });
}

/** Whether every bit of a component came, and none of its values is one that no picture of 8 bits can have. */
function isComplete({ seen, known, blocks, quant }, { progressive }, tables) {
  if (!seen || (progressive && known.some((low) => low !== 0)) || !tables[quant]) return false;
  for (let i = 0; i < blocks.length; i++) {
    const value = blocks[i] * tables[quant][i & 63];
    if (value > MOST || value < -MOST) return false;
  }
  return true;
}

function walk(bytes, done) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 2, exif = null;
  for (;;) {
    at = nextMarker(bytes, at);
    const code = bytes[at++];
    if (code === 0xd9 || code === 0xda) throw new Unreadable("damaged");
    if (code === 0xd8 || code === 0x01) continue;
    const length = segmentLength(view, bytes, at), body = at + 2;
    if (code === 0xe1 && exif === null && text(bytes, body, 4) === "Exif") exif = bytes.subarray(body, at + length);
    if (code >= 0xc0 && code <= 0xcf && code !== 0xc4 && code !== 0xc8 && code !== 0xcc)
      return done({ height: view.getUint16(body + 1), width: view.getUint16(body + 3) }, exif ?? laterExif(bytes, at + length));
    at += length;
  }
}

/** EXIF may stand behind the frame, too. */
function laterExif(bytes, at) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (;;) {
    at = nextMarker(bytes, at);
    const code = bytes[at++];
    if (code === 0xd9 || code === 0xda) return null;
    const length = segmentLength(view, bytes, at);
    if (code === 0xe1 && text(bytes, at + 2, 4) === "Exif") return bytes.subarray(at + 2, at + length);
    at += length;
  }
}

function nextMarker(bytes, at) {
  while (at < bytes.length - 1) {
    if (bytes[at] === 0xff && bytes[at + 1] !== 0xff && bytes[at + 1] !== 0x00) return at + 1;
    at += 1;
  }
  throw new Unreadable("damaged");
}

function segmentLength(view, bytes, at) {
  const length = at + 2 <= bytes.length ? view.getUint16(at) : 0;
  if (length < 2 || at + length > bytes.length) throw new Unreadable("damaged");
  return length;
}

function text(bytes, at, n) {
  return String.fromCharCode(...bytes.subarray(at, at + n));
}

function readQuantisation(bytes, at, end, quant) {
  while (at < end) {
    const wide = bytes[at] >> 4, which = bytes[at++] & 15, table = new Int32Array(64);
    for (let i = 0; i < 64; i++) {
      table[ZIGZAG[i]] = wide ? (bytes[at] << 8) | bytes[at + 1] : bytes[at];
      at += wide ? 2 : 1;
    }
    quant[which] = table;
  }
}

function readHuffman(bytes, at, end, tables) {
  while (at < end) {
    const into = bytes[at] >> 4 ? tables.ac : tables.dc, which = bytes[at++] & 15;
    const counts = bytes.subarray(at, at + 16);
    const total = counts.reduce((a, b) => a + b, 0);
    if (at + 16 + total > end) throw new Unreadable("damaged");
    into[which] = huffman(counts, bytes.subarray(at + 16, at + 16 + total));
    if (into === tables.dc && into[which].values.some((v) => v > 15)) throw new Unreadable("damaged");
    at += 16 + total;
  }
}

function readFrame(view, bytes, at, progressive) {
  if (bytes[at] !== 8) throw new Unreadable("form");
  const height = view.getUint16(at + 1), width = view.getUint16(at + 3), n = bytes[at + 5];
  if (!width || !height || (n !== 1 && n !== 3)) throw new Unreadable("form");
  const components = [];
  for (let i = 0; i < n; i++) {
    const from = at + 6 + 3 * i;
    components.push({ id: bytes[from], h: bytes[from + 1] >> 4, v: bytes[from + 1] & 15, quant: bytes[from + 2], seen: false });
  }
  const maxH = Math.max(...components.map((c) => c.h)), maxV = Math.max(...components.map((c) => c.v));
  const across = Math.ceil(width / (8 * maxH)), down = Math.ceil(height / (8 * maxV));
  for (const c of components) {
    if (!c.h || !c.v || c.h > 4 || c.v > 4) throw new Unreadable("form");
    c.blocksAcross = across * c.h;
    c.blocksDown = down * c.v;
    c.ownAcross = Math.ceil((Math.ceil(width * c.h / maxH)) / 8);
    c.ownDown = Math.ceil((Math.ceil(height * c.v / maxV)) / 8);
    c.known = new Int8Array(64).fill(-1); // of a progressive one, the lowest bit that came of each coefficient
    c.blocks = new Int16Array(64 * c.blocksAcross * c.blocksDown);
  }
  return { width, height, components, maxH, maxV, across, down, progressive };
}

function readScan(bytes, at, end, frame, tables) {
  const n = bytes[at++], chosen = [];
  for (let i = 0; i < n; i++, at += 2) {
    const c = frame.components.find((each) => each.id === bytes[at]);
    if (!c) throw new Unreadable("damaged");
    c.seen = true;
    chosen.push({ c, dc: tables.dc[bytes[at + 1] >> 4], ac: tables.ac[bytes[at + 1] & 15], last: 0 });
  }
  const spectrum = { from: bytes[at], to: bytes[at + 1], high: bytes[at + 2] >> 4, low: bytes[at + 2] & 15, run: 0 };
  if (frame.progressive) for (const { c } of chosen) follow(c, spectrum);
  const decode = frame.progressive ? progressiveDecoder(spectrum) : sequential;
  const first = chosen[0];
  const alone = n === 1;
  const across = alone ? first.c.ownAcross : frame.across, down = alone ? first.c.ownDown : frame.down;
  let bits = new Bits(bytes, end), left = tables.restart;
  for (let y = 0; y < down; y++)
    for (let x = 0; x < across; x++) {
      if (tables.restart && left-- === 0) {
        finish();
        const marker = nextMarker(bytes, bits.at);
        if (bytes[marker] < 0xd0 || bytes[marker] > 0xd7) throw new Unreadable("damaged");
        bits = new Bits(bytes, marker + 1);
        for (const each of chosen) each.last = 0;
        spectrum.run = 0;
        left = tables.restart - 1;
      }
      for (const each of chosen) {
        const c = each.c, wide = alone ? 1 : c.h, high = alone ? 1 : c.v;
        for (let v = 0; v < high; v++)
          for (let h = 0; h < wide; h++)
            decode(bits, each, c.blocks, 64 * ((y * high + v) * c.blocksAcross + x * wide + h));
      }
    }
  finish();
  return bits.at;

  function finish() {
    bits.end();
    if (spectrum.run) throw new Unreadable("damaged"); // blocks behind the last one
  }
}

/** Note which bits a progressive scan brings; each must follow on those of before. */
function follow(c, { from, to, high, low }) {
  for (let k = from; k <= to; k++) {
    if (to > 63 || (from === 0 && to !== 0) || c.known[k] !== (high === 0 ? -1 : high) || (high && low !== high - 1)) throw new Unreadable("damaged");
    c.known[k] = low;
  }
}

function sequential(bits, each, blocks, at) {
  each.last += bits.signed(bits.code(each.dc));
  blocks[at] = each.last;
  for (let k = 1; k < 64; k++) {
    const rs = bits.code(each.ac), size = rs & 15, zeros = rs >> 4;
    if (!size) {
      if (zeros < 15) return;
      k += 15;
      continue;
    }
    k += zeros;
    if (k > 63) throw new Unreadable("damaged");
    blocks[at + ZIGZAG[k]] = bits.signed(size);
  }
}

function progressiveDecoder(s) {
  if (s.from === 0) return s.high === 0 ? dcFirst : dcRefine;
  return s.high === 0 ? acFirst : acRefine;

  function dcFirst(bits, each, blocks, at) {
    each.last += bits.signed(bits.code(each.dc));
    blocks[at] = each.last << s.low;
  }
  function dcRefine(bits, each, blocks, at) {
    if (bits.take(1)) blocks[at] |= 1 << s.low;
  }
  function acFirst(bits, each, blocks, at) {
    if (s.run > 0) {
      s.run -= 1;
      return;
    }
    for (let k = s.from; k <= s.to; k++) {
      const rs = bits.code(each.ac), size = rs & 15, zeros = rs >> 4;
      if (!size) {
        if (zeros < 15) {
          s.run = (1 << zeros) - 1 + bits.take(zeros);
          return;
        }
        k += 15;
        continue;
      }
      k += zeros;
      if (k > s.to) throw new Unreadable("damaged");
      blocks[at + ZIGZAG[k]] = bits.signed(size) * (1 << s.low);
    }
  }
  function acRefine(bits, each, blocks, at) {
    const plus = 1 << s.low, minus = -plus;
    let k = s.from;
    const correct = (i) => {
      if (bits.take(1) && !(blocks[i] & plus)) blocks[i] += blocks[i] > 0 ? plus : minus;
    };
    if (s.run === 0)
      for (; k <= s.to; k++) {
        const rs = bits.code(each.ac);
        let zeros = rs >> 4, value = 0;
        if ((rs & 15) > 1) throw new Unreadable("damaged");
        if (rs & 15) value = bits.take(1) ? plus : minus;
        else if (zeros < 15) {
          s.run = (1 << zeros) + bits.take(zeros);
          break;
        }
        for (; k <= s.to; k++) {
          const i = at + ZIGZAG[k];
          if (blocks[i]) correct(i);
          else if (zeros-- === 0) {
            if (value) blocks[i] = value;
            break;
          }
        }
        if (value && k > s.to) throw new Unreadable("damaged");
      }
    if (s.run > 0) {
      for (; k <= s.to; k++) if (blocks[at + ZIGZAG[k]]) correct(at + ZIGZAG[k]);
      s.run -= 1;
    }
  }
}
