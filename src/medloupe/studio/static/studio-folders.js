// What lies in dropped or chosen folders, and which class each file is of.
const TABLES = /\.(csv|tsv|xlsx?|json|xml|txt)$/i;
const PICTURES = /\.(jpe?g|png|bmp|gif|tiff?|webp|dcm|dicom|ppm|pgm|heic|avif)$/i;
const HIDDEN = /(^|\/)(\.|__MACOSX|Thumbs\.db)/i;

/** All files below what was dropped, each {path, file}. */
export async function dropped(items) {
  const found = [];
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => { entry.file(done, failed); });
    found.push({ path: entry.fullPath.replace(/^\//, ""), file });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done, failed) => { reader.readEntries(done, failed); });
    if (!some.length) return;
    for (const one of some) await walk(one, found);
  }
}

/**
 * Sort files: `direct` have a class by their folder; `packed` are for the server to read as a whole, since there is a
 * table among them or the folders are deeper; `archives` are archives. Of the tasks "detection" and "multilabel" pictures have no class.
 */
export function sort(files, task = "multiclass") {
  if (task === "ecg") return sortEcgs(files);
  const boxed = task === "detection" || task === "multilabel";
  const seen = files.filter(({ path }) => !HIDDEN.test(path));
  const archives = seen.filter(({ path }) => /\.zip$/i.test(path));
  const rest = seen.filter((one) => !archives.includes(one));
  const pictures = rest.filter(({ path, file }) => PICTURES.test(path) || file.type.startsWith("image/"));
  const tables = rest.filter(({ path }) => TABLES.test(path) && !/readme|licen[cs]e/i.test(path));
  const parts = pictures.map(({ path }) => path.split("/"));
  const depth = new Set(parts.map((way) => way.length));
  const none = { archives, direct: [], packed: [] };
  if (!pictures.length) return none;
  const flat = depth.size === 1 && !tables.length;
  const deep = [...depth][0];
  if (boxed && !tables.length) return { ...none, archives, direct: pictures.map((one) => ({ ...one, label: "" })) };
  if (flat && deep === 1) return { ...none, direct: pictures.map((one) => ({ ...one, label: "" })) };
  if (flat && deep <= 3) return { ...none, direct: pictures.map((one, i) => ({ ...one, label: parts[i].at(-2) })) };
  return { ...none, packed: rest };
}

const RECORDINGS = /\.(hea|dat|atr|csv|tsv|txt|npz|edf|bdf|dcm|dicom)$/i;

/** Sort ECG files likewise: those of several parts (.hea with its .dat), and those with a table, are packed. */
function sortEcgs(files) {
  const seen = files.filter(({ path }) => !HIDDEN.test(path) && !/readme|licen[cs]e/i.test(path));
  const archives = seen.filter(({ path }) => /\.zip$/i.test(path));
  const rest = seen.filter(({ path }) => RECORDINGS.test(path) || TABLES.test(path));
  if (!rest.length) return { archives, direct: [], packed: [] };
  const ways = rest.map(({ path }) => path.split("/"));
  const alone = rest.every(({ path }) => RECORDINGS.test(path) && !/\.(hea|dat|atr)$/i.test(path));
  const flat = new Set(ways.map((way) => way.length)).size === 1 && ways[0].length <= 3;
  if (!alone || !flat) return { archives, direct: [], packed: rest };
  return { archives, direct: rest.map((one, i) => ({ ...one, label: ways[i].at(-2) ?? "" })), packed: [] };
}
