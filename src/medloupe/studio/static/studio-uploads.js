// Send files by tus 1.0.0: small ones at once, large ones in chunks with checksums. What is lost on the way is sent again.
// The id of a file is made of its content, class and data set: the same file sent again is known to be the same.
import { base64, digest, hex } from "./studio-digest.js";

const AT_ONCE = 3;
const SMALL = 4 * 2 ** 20;
const WAITS = [500, 1000, 2000, 4000, 8000];

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
const encode = (text) => base64(new TextEncoder().encode(text));

export class Sender {
  constructor(root, told) {
    this.address = root.dataset.uploads;
    this.dataset = root.dataset.id;
    this.chunk = Number(root.dataset.chunk);
    this.told = told;  // {far(done, all, share), refused(name, why), ended()}
    this.waiting = [];
    this.working = 0;
    this.all = this.done = 0;
    this.batch = "";
  }

  get busy() { return this.working + this.waiting.length > 0; }

  /** wanted: of {file, path, label, patient, site, source}. */
  add(wanted) {
    if (!this.busy) {
      this.batch = hex(crypto.getRandomValues(new Uint8Array(8)));
      this.all = this.done = 0;
    }
    this.all += wanted.length;
    this.waiting.push(...wanted.map((one) => ({ ...one, batch: this.batch })));
    while (this.working < AT_ONCE && this.waiting.length) this.next();
    this.told.far(this.done, this.all);
  }

  async next() {
    const one = this.waiting.shift();
    this.working += 1;
    try {
      await this.send(one);
    } catch (error) {
      this.told.refused(one.path || one.file.name, error.message);
    }
    this.working -= 1;
    this.done += 1;
    this.told.far(this.done, this.all);
    if (this.waiting.length) this.next();
    else if (!this.working) this.told.ended();
  }

  async send(one) {
    const small = one.file.size <= SMALL;
    let id;
    let whole = "";
    if (small) {
      whole = hex(await digest(await one.file.arrayBuffer()));
      const told = [this.dataset, one.path, one.label, whole].join("\0");
      id = hex(await digest(new TextEncoder().encode(told))).slice(0, 32);
    } else {
      const told = [this.dataset, one.path, one.label, one.file.size, one.file.lastModified].join("\0");
      id = hex(await digest(new TextEncoder().encode(told))).slice(0, 32);
    }
    const meta = { id, file: one.path || one.file.name, label: one.label, patient: one.patient, site: one.site, source: one.source, batch: one.batch, sha256: whole };
    const said = Object.entries(meta).filter(([, text]) => text).map(([name, text]) => `${name} ${encode(text)}`).join(",");
    const announce = { "Upload-Length": String(one.file.size), "Upload-Metadata": said };
    if (small) {
      const made = await this.ask("POST", this.address, announce, one.file);
      if ((await made.json()).state !== "working") return;
      return this.settled(id);
    }
    const made = await this.ask("POST", this.address, announce);
    let at = Number(made.headers.get("Upload-Offset"));
    while (at < one.file.size) {
      const piece = await one.file.slice(at, at + this.chunk).arrayBuffer();
      const sum = base64(await digest(piece));
      const answer = await this.ask("PATCH", `${this.address}/${id}`, { "Upload-Offset": String(at), "Upload-Checksum": `sha256 ${sum}` }, piece);
      at = Number(answer.headers.get("Upload-Offset"));
      this.told.far(this.done, this.all, at / one.file.size);
    }
    return this.settled(id);
  }

  /** Wait until the server has taken a file in that it had to put together or unpack. */
  async settled(id) {
    for (;;) {
      const told = await (await this.ask("GET", `${this.address}/${id}`)).json();
      if (told.state === "taken") return;
      if (told.state === "refused") throw new Error(told.error);
      await pause(700);
    }
  }

  /** Ask until there is an answer; a chunk that begins elsewhere than the server thinks is told as where that is. */
  async ask(method, address, headers = {}, body = undefined) {
    for (let tries = 0; ; tries += 1) {
      try {
        const given = body === undefined ? {} : { "Content-Type": "application/offset+octet-stream" };
        const answer = await fetch(address, { method, headers: { "Tus-Resumable": "1.0.0", ...given, ...headers }, body });
        if (answer.ok || (answer.status === 409 && answer.headers.has("Upload-Offset"))) return answer;
        const again = [408, 429, 460, 500, 502, 503, 504].includes(answer.status) || (answer.status === 400 && tries < 3);
        if (!again) throw Object.assign(new Error(await why(answer)), { final: true });
      } catch (error) {
        if (error.final) throw error;
        this.told.lost?.();
      }
      await pause(WAITS[Math.min(tries, WAITS.length - 1)]);
    }
  }
}

async function why(answer) {
  try {
    const { error } = await answer.json();
    return `${error.message} ${error.hint}`.trim();
  } catch {
    return `HTTP ${answer.status}`;
  }
}
