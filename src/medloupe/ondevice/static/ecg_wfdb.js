// WFDB records: a .hea header, which is untrusted, with its .dat samples. medloupe/ecg/wfdb.py, wfdb_header.py and wfdb_samples.py.

import { Unreadable } from "./errors.js";
import { assembleSignal, checkSize, chooseRate } from "./ecg_channels.js";

const BITS = { 8: 8, 16: 16, 24: 24, 32: 32, 61: 16, 80: 8, 160: 16, 212: 12, 310: 10, 311: 10 };
const MISSING = { 80: -(2 ** 7), 310: -(2 ** 9), 311: -(2 ** 9), 212: -(2 ** 11), 24: -(2 ** 23), 32: -(2 ** 31), 16: -(2 ** 15), 61: -(2 ** 15), 160: -(2 ** 15) };
const FILE = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const FORMAT = /^(\d{1,3})(?:x(\d{1,3}))?(?::(\d{1,9}))?(?:\+(\d{1,9}))?$/;
const RATE = /^\d{1,12}(?:\.\d{0,12})?(?:[eE][+-]?\d{1,3})?/;
const GAIN = /^(-?\d{0,20}\.?\d{0,20}(?:[eE][+-]?\d{1,3})?)(?:\((-?\d{1,12})\))?(?:\/(\S{1,20}))?$/;
const WHOLE = /^-?\d{1,12}$/;
const DEFAULT_RATE = 250, DEFAULT_GAIN = 200, MOST_PER_FRAME = 64, MOST_SKEW = 1e6, MOST_SHORT = 64;
export const MOST_HEADER_BYTES = 64 * 1024;

/** The names of the .dat files that a header refers to. */
export const filesOf = (header, name) => readHeader(header, name).files;

/** The ECG of one record: of its leads those of the commonest rate. files: Map of bytes by name; name: of its .hea; gain: units a millivolt where the header does not tell, or null. */
export function readWfdb(files, name, gain) {
  const told = readHeader(files.get(name), name);
  for (const file of told.files) if (!files.has(file)) throw new Unreadable("ecg_partner", { name, file });
  const frames = countFrames(told, files, name), found = new Array(told.lines.length);
  for (const file of told.files) {
    const own = told.lines.flatMap((line, k) => (line.file === file ? [k] : []));
    const lines = own.map((k) => told.lines[k]).map((line) => (gain && !line.calibrated ? { ...line, gain } : line));
    decodeFile(files.get(file), lines, frames).forEach((samples, i) => (found[own[i]] = samples));
  }
  const all = told.lines.map((line, k) => ({ name: line.name, unit: line.unit, samples: found[k] }));
  const { channels, rate, notes } = chooseRate(all, told.lines.map((line) => told.rate * line.perFrame));
  if (!gain && told.lines.some((line) => !line.calibrated)) notes.push("The header tells no gain; 200 units a millivolt are taken, as is usual in WFDB.");
  return assembleSignal(channels, rate, "WFDB", name, notes, gain);
}

/** What a .hea says, checked: {rate, length (frames, 0 where it does not say), files, lines}. */
function readHeader(bytes, file) {
  const bad = () => new Unreadable("ecg_header", { file });
  if (bytes.length > MOST_HEADER_BYTES) throw bad();
  const lines = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes).split(/\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]/).map((line) => line.trim()).filter((line) => line && !line.startsWith("#"));
  const first = lines.length ? lines[0].split(/\s+/) : [];
  if (first.length < 2 || !/^[0-9]{1,4}$/.test(first[1])) throw bad();
  if (first[0].includes("/")) throw new Unreadable("ecg_segments", { file });
  const count = Number(first[1]), told = first.length > 2 ? RATE.exec(first[2]) : null;
  if (!told && first.length > 2) throw bad();
  const length = first.length > 3 && /^[0-9]{1,12}$/.test(first[3]) ? Number(first[3]) : 0, rate = told ? Number(told[0]) : DEFAULT_RATE;
  const found = lines.slice(1, 1 + Math.min(count, 256)).map((line) => parseLine(line, file)), fastest = found.reduce((most, line) => Math.max(most, line.perFrame), 1);
  checkSize(file, count, Math.max(1, length) * fastest, rate * fastest);
  if (found.length < count) throw bad();
  return { rate, length, files: [...new Set(found.map((line) => line.file))], lines: found };
}

/** Split at blanks, at most so many times, as Python's str.split does. */
function split(text, most) {
  const cells = [];
  let rest = text.trimStart();
  while (rest && cells.length < most) {
    const end = rest.search(/\s/);
    if (end < 0) break;
    cells.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return rest ? [...cells, rest] : cells;
}

function parseLine(line, header) {
  const bad = () => new Unreadable("ecg_header", { file: header });
  const [file, form = "", all = ""] = split(line, 2);
  if (!FILE.test(file)) throw bad();
  const match = FORMAT.exec(form);
  if (!match || !Object.hasOwn(BITS, match[1])) throw new Unreadable("ecg_format", { file: header, format: form.slice(0, 20) });
  const perFrame = Number(match[2] ?? 1), skew = Number(match[3] ?? 0);
  if (!(perFrame >= 1 && perFrame <= MOST_PER_FRAME) || skew > MOST_SKEW) throw bad();
  const at = all.indexOf(" "), gainText = at < 0 ? all : all.slice(0, at);
  let rest = at < 0 ? "" : all.slice(at + 1);
  const told = GAIN.exec(gainText);
  if (gainText && !told) throw bad();
  const number = told && !["", "-", ".", "-."].includes(told[1]) ? parseGain(told[1], bad) : 0, numbers = [];
  while (numbers.length < 5) { // resolution, zero, first sample, checksum and block size; what comes after them is the name
    const [next, more] = split(rest, 1);
    if (next === undefined || !WHOLE.test(next)) break;
    numbers.push(Number(next));
    rest = more ?? "";
  }
  return {
    file, form: match[1], perFrame, skew, offset: Number(match[4] ?? 0), gain: number || DEFAULT_GAIN, calibrated: Boolean(number), unit: told?.[3] || "mV",
    baseline: told?.[2] ? Number(told[2]) : (numbers[1] ?? 0), initial: numbers[2] ?? 0, name: rest.trim(),
  };
}

function parseGain(text, bad) {
  const value = Number(text);
  if (!Number.isFinite(value)) throw bad();
  return value;
}

/** The frames that are claimed and there, once what is claimed was compared with the bytes. */
function countFrames(told, files, name) {
  const counts = told.files.map((file) => {
    const lines = told.lines.filter((line) => line.file === file), bytes = files.get(file).length;
    if (new Set(lines.map((line) => line.form)).size > 1) throw new Unreadable("ecg_header", { file: name });
    const size = bytes - Math.max(...lines.map((line) => line.offset)), there = Math.floor(countSamples(lines[0].form, Math.max(0, size)) / lines.reduce((sum, line) => sum + line.perFrame, 0));
    if (told.length > there + MOST_SHORT) throw new Unreadable("ecg_short", { file });
    return there;
  });
  const frames = told.length ? Math.min(...counts, told.length) : Math.min(...counts), fastest = Math.max(...told.lines.map((line) => line.perFrame));
  checkSize(name, told.lines.length, frames * fastest, told.rate * fastest);
  return frames;
}

function countSamples(form, size) {
  if (form === "212") return Math.floor(size / 3) * 2 + (size % 3 === 2 ? 1 : 0);
  if (form === "310" || form === "311") return Math.floor(size / 4) * 3;
  return Math.floor(size / ({ 8: 1, 80: 1, 24: 3, 32: 4 }[form] ?? 2));
}

/** The channels of one file, in its lines' order: Float32Array, in the channel's unit. */
function decodeFile(bytes, lines, frames) {
  const { form } = lines[0], total = lines.reduce((sum, line) => sum + line.perFrame, 0);
  const at = sampleAt(bytes.subarray(Math.max(...lines.map((line) => line.offset))), form), missing = MISSING[form];
  let first = 0;
  return lines.map(({ perFrame, baseline, gain, skew, initial }) => {
    const physical = new Float32Array(frames * perFrame).fill(NaN), by = skew * perFrame;
    let sum = initial;
    for (let i = 0; i < physical.length; i++) {
      let stored = at(Math.floor(i / perFrame) * total + first + (i % perFrame));
      if (form === "8") stored = sum += stored; // differences from each sample to the next
      if (i >= by && stored !== missing) physical[i - by] = (stored - baseline) / gain;
    }
    first += perFrame;
    return physical;
  });
}

/** Gives the stored value of the k-th sample. */
function sampleAt(bytes, form) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), byte = (i) => (i < bytes.length ? bytes[i] : 0);
  const signed = (v, bits) => (v >= 2 ** (bits - 1) ? v - 2 ** bits : v);
  const forms = {
    8: (k) => view.getInt8(k),
    16: (k) => view.getInt16(2 * k, true),
    24: (k) => signed(byte(3 * k) | (byte(3 * k + 1) << 8) | (byte(3 * k + 2) << 16), 24),
    32: (k) => view.getInt32(4 * k, true),
    61: (k) => view.getInt16(2 * k, false),
    80: (k) => byte(k) - 128,
    160: (k) => view.getUint16(2 * k, true) - 32768,
    212: (k) => {
      const at = Math.floor(k / 2) * 3, middle = byte(at + 1);
      return signed(k % 2 === 0 ? byte(at) | ((middle & 15) << 8) : byte(at + 2) | ((middle >> 4) << 8), 12);
    },
    310: (k) => {
      const at = Math.floor(k / 3) * 4, [a, b, c, d] = [byte(at), byte(at + 1), byte(at + 2), byte(at + 3)];
      return signed([(a >> 1) | ((b & 7) << 7), (c >> 1) | ((d & 7) << 7), (b >> 3) | ((d >> 3) << 5)][k % 3], 10);
    },
    311: (k) => {
      const at = Math.floor(k / 3) * 4, [a, b, c, d] = [byte(at), byte(at + 1), byte(at + 2), byte(at + 3)];
      return signed([a | ((b & 3) << 8), (b >> 2) | ((c & 15) << 6), (c >> 4) | ((d & 63) << 4)][k % 3], 10);
    },
  };
  return forms[form];
}
