// Bits and Huffman codes of a JPEG's scans (ITU T.81, annexes C and F).

import { Unreadable } from "./errors.js";

const FAST = 9; // bits that are looked up at once

/** fast: for each FAST bits length << 8 | value, 0 where the code is longer; limits: for longer ones. */
export function huffman(counts, values) {
  const fast = new Uint16Array(1 << FAST), limit = new Int32Array(18).fill(-1), offset = new Int32Array(17);
  let code = 0, k = 0;
  for (let bits = 1; bits <= 16; bits++) {
    offset[bits] = k - code;
    for (let i = 0; i < counts[bits - 1]; i++, code++, k++)
      if (bits <= FAST) fast.fill((bits << 8) | values[k], code << (FAST - bits), (code + 1) << (FAST - bits));
    if (counts[bits - 1] && code >= 1 << bits) throw new Unreadable("damaged"); // too many codes
    limit[bits] = counts[bits - 1] ? code - 1 : -1;
    code <<= 1;
  }
  return { fast, limit, offset, values };
}

/** The bits of a scan, from a place in the file on, up to its next marker. */
export class Bits {
  constructor(bytes, at) {
    this.bytes = bytes;
    this.at = at;
    this.held = 0;
    this.count = 0;
  }

  fill() {
    while (this.count <= 16) {
      let byte = this.at < this.bytes.length ? this.bytes[this.at] : -1;
      if (byte === 0xff) {
        if (this.bytes[this.at + 1] === 0) this.at += 2;
        else byte = -1; // a marker: no more bits
      } else this.at += 1;
      if (byte < 0) {
        this.over = (this.over ?? 0) + 1;
        if (this.over > 4) throw new Unreadable("damaged");
        byte = 0;
      }
      this.held = ((this.held << 8) | byte) & 0xffffff;
      this.count += 8;
    }
  }

  take(n) {
    if (!n) return 0;
    if (this.count < n) this.fill();
    this.count -= n;
    return (this.held >> this.count) & ((1 << n) - 1);
  }

  /** A signed value of n bits (T.81, F.2.2.1). */
  signed(n) {
    const v = this.take(n);
    return n && v < 1 << (n - 1) ? v - (1 << n) + 1 : v;
  }

  code(table) {
    if (this.count < 16) this.fill();
    const short = table.fast[(this.held >> (this.count - FAST)) & ((1 << FAST) - 1)];
    if (short) {
      this.count -= short >> 8;
      return short & 255;
    }
    for (let bits = FAST + 1; bits <= 16; bits++) {
      const code = (this.held >> (this.count - bits)) & ((1 << bits) - 1);
      if (code <= table.limit[bits]) {
        this.count -= bits;
        return table.values[code + table.offset[bits]];
      }
    }
    throw new Unreadable("damaged");
  }

  /** Check that all bits were there, and no byte more: libjpeg would paint grey what is missing, and go on with a warning. */
  end() {
    const spare = this.count - (this.over ?? 0) * 8;
    if (spare < 0 || spare >= 8 || this.bytes[this.at] !== 0xff) throw new Unreadable("damaged");
  }
}
