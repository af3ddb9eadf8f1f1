// Ask the worker: each picture in its turn, by promises.

export class Asking {
  constructor() {
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.waiting = new Map();
    this.last = 0;
    this.worker.onmessage = ({ data }) => {
      const { done, failed } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error) failed(Object.assign(new Error(data.error), { unreadable: data.unreadable }));
      else done(data.answer);
    };
    this.worker.onerror = (event) => {
      for (const { failed } of this.waiting.values()) failed(new Error(event.message || "the worker could not start"));
      this.waiting.clear();
    };
  }

  /** Open a check-up before anybody waits for it. */
  open(card) {
    return this.#send({ card });
  }

  /** Answer a file: as answer.js gives it. photo: "auto", "never" or "always". An error has `unreadable`, a code, where the device cannot read the file. */
  async answer(card, file, photo = "auto") {
    return this.#send({ card, photo, bytes: await file.arrayBuffer() });
  }

  #send(message) {
    const id = ++this.last;
    return new Promise((done, failed) => {
      this.waiting.set(id, { done, failed });
      this.worker.postMessage({ id, ...message }, message.bytes ? [message.bytes] : []);
    });
  }
}
