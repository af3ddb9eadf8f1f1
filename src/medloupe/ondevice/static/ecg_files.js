// Which files are ECGs, which belong together, and which are read here: WFDB, EDF and BDF. What holds ECGs otherwise is left to the server.

import { Unreadable } from "./errors.js";
import { isEdf, readEdf } from "./ecg_edf.js";
import { readWfdb } from "./ecg_wfdb.js";

const MAX_FILE_BYTES = 64 * 2 ** 20;
const SUFFIXES = ["hea", "dat", "csv", "tsv", "txt", "npz", "edf", "bdf", "dcm", "dicom"], BESIDE = ["atr", "qrs", "xyz"];
const PICTURE = /^(?:\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|II\*\0|MM\0\*|P[1-6]\s+[#\d]|Pf\s+[#\d])/;

/** The suffix of a file's name, in lower case. */
const suffixOf = (name) => /\.([^.]+)$/.exec(name)?.[1].toLowerCase() ?? "";
const stemOf = (name) => name.replace(/\.[^.]+$/, "");

/** Whether a file's name is one that ECGs have. */
export const isEcgName = (name) => SUFFIXES.includes(suffixOf(name)) || BESIDE.includes(suffixOf(name));

/** Files (each with a name) by recording: of one name without the suffix, since a .hea and its .dat belong together. */
export function groupRecordings(files) {
  const groups = new Map();
  for (const file of files) {
    const key = ["hea", "dat", ...BESIDE].includes(suffixOf(file.name)) ? `record ${stemOf(file.name)}` : file.name;
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  return [...groups.values()];
}

/** The file of a recording that names the others, or the only one. */
export function mainOf(names) {
  return names.find((name) => suffixOf(name) === "hea") ?? names.find((name) => !BESIDE.includes(suffixOf(name))) ?? names[0];
}

/** Read the ECG in files: Map of Uint8Array by name. gain: units a millivolt, where the person tells it, or null. Throws Unreadable. */
export function readEcg(files, { gain = null } = {}) {
  const name = mainOf([...files.keys()]), bytes = files.get(name), suffix = suffixOf(name);
  for (const [file, content] of files) if (content.length > MAX_FILE_BYTES) throw new Unreadable("ecg_large", { file, n: MAX_FILE_BYTES / 2 ** 20 });
  if (!bytes.length) throw new Unreadable("ecg_empty", { file: name });
  const start = String.fromCharCode(...bytes.subarray(0, 512));
  if (PICTURE.test(start)) throw new Unreadable("ecg_picture", { file: name });
  if (isEdf(bytes)) return told(readEdf(bytes, name, gain), gain);
  if (suffix === "hea") return told(readWfdb(files, name, gain), gain);
  if (suffix === "dat") throw new Unreadable("ecg_partner", { name, file: `${stemOf(name)}.hea` });
  throw new Unreadable("ecg_elsewhere");
}

const told = (signal, gain) => ({ ...signal, told: gain ? { gain } : {} });
