// EDF, EDF+ and BDF recordings: medloupe/ecg/edf.py, with the scaling of the package edfio. Headers that are written otherwise than the standard says are left to the server.

import { Unreadable } from "./errors.js";
import { assembleSignal, checkSize, chooseRate } from "./ecg_channels.js";
import { leadName } from "./ecg_signal.js";
import { isCounts, unitInMillivolts } from "./ecg_units.js";

const FIELDS = 256, MOST_CHANNELS = 512; // bytes of header, of the file and of each channel
const WIDTHS = { label: 16, transducer: 80, unit: 8, physicalLow: 8, physicalHigh: 8, digitalLow: 8, digitalHigh: 8, filter: 80, samples: 8 };
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/, DIGITS = /^[+-]?\d+$/, BLANKS = /^[ \t-\r]+|[ \t-\r]+$/g;

/** Whether the first bytes are those of an EDF or a BDF file. */
export function isEdf(bytes) {
  const start = String.fromCharCode(...bytes.subarray(0, 8));
  return (start === "0       " || start === "\xffBIOSEMI") && bytes.length >= 192;
}

/** The ECG channels of a recording, those of the commonest rate among them. gain: units a millivolt for channels that tell no unit, or null. */
export function readEdf(bytes, file, gain) {
  const biosemi = bytes[0] === 0xff, width = biosemi ? 3 : 2, text = (at, length) => String.fromCharCode(...bytes.subarray(at, at + length));
  if (["EDF+D", "BDF+D"].includes(text(192, 5))) throw new Unreadable("ecg_gaps", { file });
  const count = wholeOf(text(252, 4), file), records = wholeOf(text(236, 8), file);
  if (!(count >= 1 && count <= MOST_CHANNELS) || bytes.length < FIELDS * (count + 1)) throw new Unreadable("ecg_short", { file });
  if (wholeOf(text(184, 8), file) !== FIELDS * (count + 1)) throw new Unreadable("ecg_header", { file });
  const headers = readHeaders(text, count), lengths = headers.map(({ samples }) => wholeOf(samples, file)), total = lengths.reduce((a, b) => a + b, 0);
  const there = bytes.length - FIELDS * (count + 1);
  if (Math.min(...lengths) < 0 || Math.max(records, 1) * total * width > there) throw new Unreadable("ecg_short", { file });
  if (!total) throw new Unreadable("ecg_empty", { file });
  const seconds = floatOf(text(244, 8)), frames = Math.floor(there / (total * width));
  const starts = lengths.map((_, k) => lengths.slice(0, k).reduce((a, b) => a + b, 0));
  const signals = headers.map((header, k) => ({ ...header, k, length: lengths[k], start: starts[k], rate: lengths[k] / seconds }));
  const chosen = chooseHeart(signals.filter(({ label }) => !label.toLowerCase().includes("annotation")), file);
  for (const { length, rate } of chosen) checkSize(file, chosen.length, length * frames, rate);
  const channels = chosen.map((one) => ({ name: one.label, unit: one.unit.trim(), samples: decode(bytes, one, { frames, total, width, from: FIELDS * (count + 1) }) }));
  const { channels: kept, rate, notes } = chooseRate(channels, chosen.map((one) => one.rate));
  return assembleSignal(kept, rate, biosemi ? "BDF" : "EDF", file, notes, gain);
}

/** What the header says of each channel, as text. */
function readHeaders(text, count) {
  const headers = Array.from({ length: count }, () => ({}));
  let at = FIELDS;
  for (const [name, width] of Object.entries(WIDTHS))
    for (const header of headers) {
      header[name] = name === "label" ? text(at, width).replace(/\s+$/, "") : text(at, width);
      at += width;
    }
  return headers;
}

/** Polysomnograms hold many channels; those of the heart say so, or are called as leads are. */
function chooseHeart(signals, file) {
  const voltage = (unit) => !unit || unitInMillivolts(unit) !== null || isCounts(unit);
  const heart = signals.filter(({ label, unit }) => (/e[ck]g/i.test(label) || leadName(label)) && voltage(unit.trim()));
  if (heart.length) return heart;
  if (signals.length === 1) return signals;
  throw new Unreadable("ecg_none", { file });
}

function decode(bytes, { start, length, physicalLow, physicalHigh, digitalLow, digitalHigh }, { frames, total, width, from }) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), out = new Float64Array(frames * length);
  const low = floatOf(physicalLow), high = floatOf(physicalHigh), least = floatOf(digitalLow, DIGITS), most = floatOf(digitalHigh, DIGITS);
  const gain = (high - low) / (most - least), offset = high / gain - most;
  if (!gain || !Number.isFinite(gain)) throw new Unreadable("ecg_elsewhere"); // there is no scale
  for (let frame = 0, i = 0; frame < frames; frame++)
    for (let at = from + (frame * total + start) * width, k = 0; k < length; k++, at += width)
      out[i++] = ((width === 2 ? view.getInt16(at, true) : view.getUint16(at, true) | (view.getInt8(at + 2) << 16)) + offset) * gain;
  return out;
}

function wholeOf(field, file) {
  const text = field.replace(/^[ \0]+|[ \0]+$/g, "");
  if (!/^\d+$/.test(text) && text !== "-1") throw new Unreadable("ecg_header", { file });
  return Number(text);
}

function floatOf(field, form = NUMBER) {
  const text = field.replace(BLANKS, "");
  if (!form.test(text) || !Number.isFinite(Number(text))) throw new Unreadable("ecg_elsewhere");
  return Number(text);
}
