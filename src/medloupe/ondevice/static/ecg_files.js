// Which files are ECGs, which belong together, and which are read here: WFDB, EDF and BDF. What holds ECGs otherwise is left to the server.

import { Unreadable } from "./errors.js";
import { isEdf, readEdf } from "./ecg_edf.js";
import { MOST_HEADER_BYTES, filesOf, readWfdb } from "./ecg_wfdb.js";

const MAX_FILE_BYTES = 64 * 2 ** 20;
const PARTS = ["dat", "atr", "qrs", "xyz", "ecg"], BESIDE = ["atr", "qrs", "xyz"]; // of WFDB records, beside their .hea; of these those without samples
const PICTURE = /^(?:\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|II\*\0|MM\0\*|P[1-6]\s+[#\d]|Pf\s+[#\d])/;

/** The suffix of a file's name, in lower case. */
const suffixOf = (name) => /\.([^.]+)$/.exec(name)?.[1].toLowerCase() ?? "";
const stemOf = (name) => name.replace(/\.[^.]+$/, "");

/**
 * Files by recording, in the order in which they were chosen: to a header belong those that it names, and those of its own name with another suffix.
 * files: as a page has them (name, size, slice).
 */
export async function groupRecordings(files) {
  const left = new Set(files), groups = new Map();
  for (const header of files) {
    if (suffixOf(header.name) !== "hea") continue;
    left.delete(header);
    const wanted = (await partnersOf(header)).map((name) => name.toLowerCase()), group = [header];
    for (const other of left) {
      const same = stemOf(other.name) === stemOf(header.name) && PARTS.includes(suffixOf(other.name));
      if (!(wanted.includes(other.name.toLowerCase()) || same) || group.some(({ name }) => name === other.name)) continue;
      group.push(other);
      left.delete(other);
    }
    groups.set(header, group);
  }
  return files.filter((file) => groups.has(file) || left.has(file)).map((file) => groups.get(file) ?? [file]);
}

async function partnersOf(header) {
  try {
    return filesOf(new Uint8Array(await header.slice(0, MOST_HEADER_BYTES).arrayBuffer()), header.name);
  } catch {
    return []; // told when it is read
  }
}

/** The bytes of a recording's files: [[name, ArrayBuffer]]. Throws Unreadable where one is larger than is read, before it is. */
export async function readFiles(files) {
  for (const { name: file, size } of files) if (size > MAX_FILE_BYTES) throw new Unreadable("ecg_large", { file, n: MAX_FILE_BYTES / 2 ** 20 });
  return Promise.all(files.map(async (file) => [file.name, await file.arrayBuffer()]));
}

/** The file of a recording that names the others, or the only one. */
export function mainOf(names) {
  return names.find((name) => suffixOf(name) === "hea") ?? names.find((name) => !BESIDE.includes(suffixOf(name))) ?? names[0];
}

/** Read the ECG in files: Map of Uint8Array by name. gain: units a millivolt, where the person tells it, or null. Throws Unreadable. */
export function readEcg(files, { gain = null } = {}) {
  const name = mainOf([...files.keys()]), bytes = files.get(name), suffix = suffixOf(name);
  if (!bytes.length) throw new Unreadable("ecg_empty", { file: name });
  const start = String.fromCharCode(...bytes.subarray(0, 512));
  if (PICTURE.test(start)) throw new Unreadable("ecg_picture", { file: name });
  if (isEdf(bytes)) return told(readEdf(bytes, name, gain), gain);
  if (suffix === "hea") return told(readWfdb(files, name, gain), gain);
  if (suffix === "dat") throw new Unreadable("ecg_partner", { name, file: `${stemOf(name)}.hea` });
  throw new Unreadable("ecg_elsewhere");
}

const told = (signal, gain) => ({ ...signal, told: gain ? { gain } : {} });
