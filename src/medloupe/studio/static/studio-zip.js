// Pack files into one archive without packing them tighter, so that the server reads folders and tables as they lie.
const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});
export const MOST_FILES = 60000;
export const MOST_BYTES = 3.9e9;

function crc(bytes) {
  let c = 0xffffffff;
  for (const b of bytes) c = TABLE[(c ^ b) & 0xff] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/** files: of {path, file}. step is told how many are read. */
export async function pack(files, step) {
  const parts = [];
  const listed = [];
  let at = 0;
  for (const [i, { path, file }] of files.entries()) {
    const name = new TextEncoder().encode(path);
    const sum = crc(new Uint8Array(await file.arrayBuffer()));
    const local = head(0x04034b50, 30, name, sum, file.size);
    parts.push(local, name, file);
    listed.push({ name, sum, size: file.size, at });
    at += 30 + name.length + file.size;
    step(i + 1);
  }
  const began = at;
  for (const one of listed) {
    const entry = head(0x02014b50, 46, one.name, one.sum, one.size);
    entry.setUint32(42, one.at, true);
    parts.push(entry, one.name);
    at += 46 + one.name.length;
  }
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, listed.length, true);
  end.setUint16(10, listed.length, true);
  end.setUint32(12, at - began, true);
  end.setUint32(16, began, true);
  parts.push(end);
  return new Blob(parts, { type: "application/zip" });
}

function head(mark, length, name, sum, size) {
  const view = new DataView(new ArrayBuffer(length));
  const shift = length === 46 ? 2 : 0;
  view.setUint32(0, mark, true);
  if (shift) view.setUint16(4, 20, true);
  view.setUint16(4 + shift, 20, true);
  view.setUint16(6 + shift, 0x800, true);  // names are UTF-8
  view.setUint16(12 + shift, 0x21, true);  // 1 January 1980
  view.setUint32(14 + shift, sum, true);
  view.setUint32(18 + shift, size, true);
  view.setUint32(22 + shift, size, true);
  view.setUint16(26 + shift, name.length, true);
  return view;
}
