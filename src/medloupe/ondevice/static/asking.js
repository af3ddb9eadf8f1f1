// Ask the worker: each picture in its turn, by promises.

import { readFiles } from "./ecg_files.js";

export class Asking {
  constructor() {
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.waiting = new Map();
    this.last = 0;
    this.worker.onmessage = ({ data }) => {
      const { done, failed } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error) failed(Object.assign(new Error(data.error), { unreadable: data.unreadable, values: data.values }));
      else done(data.answer);
    };
    this.worker.onerror = (event) => {
      for (const { failed } of this.waiting.values()) failed(new Error(event.message || "the worker could not start"));
      this.waiting.clear();
    };
  }

  /** Open check-ups before anybody waits for them. */
  open(cards) {
    return this.#send({ cards });
  }

  /**
   * Answer a file by one check-up: as answer.js gives it. request: {mode: "auto", "never" or "always", corners}.
   * An error has `unreadable`, a code, where the device cannot read the file.
   */
  async answer(card, file, request = { mode: "auto" }) {
    return this.#send({ cards: [card], request, bytes: await file.arrayBuffer() });
  }

  /** Answer the files of an ECG by one check-up: as ecg_answer.js gives it. request: {gain}. */
  async answerEcg(card, files, request = {}) {
    const read = await readFiles(files);
    return this.#send({ cards: [card], request, files: read }, read.map(([, bytes]) => bytes));
  }

  /** Let a file choose among check-ups: as chosen.js gives it. guides: [{name, guide}] of a release's `withheld`. */
  async choose(cards, guides, file, request = { mode: "auto" }) {
    return this.#send({ cards, guides, choose: true, request, bytes: await file.arrayBuffer() });
  }

  /** Where in a file a photographed picture lies, as photograph.js tells it; null where the file cannot be read. */
  async find(file, mode) {
    return this.#send({ find: mode, bytes: await file.arrayBuffer() }).catch(() => null);
  }

  #send(message, moved = message.bytes ? [message.bytes] : []) {
    const id = ++this.last;
    return new Promise((done, failed) => {
      this.waiting.set(id, { done, failed });
      this.worker.postMessage({ id, ...message }, moved);
    });
  }
}
