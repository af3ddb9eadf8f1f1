// Run ONNX networks by onnxruntime-web: WebAssembly with SIMD, in one thread.

const MOST = 4; // networks open at a time

export class Networks {
  /** ort: the module ort.wasm.min.mjs. folder: the address at which its .mjs and .wasm lie, with a slash at its end. */
  constructor(ort, folder) {
    this.ort = ort;
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = folder;
    ort.env.logLevel = "error";
    this.opened = new Map();
  }

  /** Open a network once; `load` gives its bytes. */
  async open(sha256, load) {
    if (!this.opened.has(sha256)) this.opened.set(sha256, this.#start(load));
    const found = this.opened.get(sha256);
    this.opened.delete(sha256); // the last one used is the last
    this.opened.set(sha256, found);
    try {
      const network = await found;
      while (this.opened.size > MOST) {
        const [oldest, session] = this.opened.entries().next().value;
        this.opened.delete(oldest);
        await (await session).session.release();
      }
      return network;
    } catch (e) {
      this.opened.delete(sha256);
      throw e;
    }
  }

  async #start(load) {
    const session = await this.ort.InferenceSession.create(await load(), { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
    return new Network(this.ort, session);
  }
}

class Network {
  constructor(ort, session) {
    this.ort = ort;
    this.session = session;
  }

  /** Run on one picture, uint8 of size * size * 3: {embedding, map, cut (a tensor)} as far as they are wanted. */
  async see(pixels, size, wanted) {
    const made = await this.session.run({ image: new this.ort.Tensor("uint8", pixels, [1, size, size, 3]) }, wanted);
    return { embedding: made.embedding.data, map: made.map?.data ?? null, cut: made.cut ?? null };
  }

  /** Run on windows of an ECG, float32 of shape (N, L, T): {embedding, map}. */
  async seeWindows(signal, shape) {
    const made = await this.session.run({ signal: new this.ort.Tensor("float32", signal, shape) }, ["embedding", "map"]);
    return { embedding: made.embedding.data, map: made.map.data };
  }

  /** Run tuned upper stages on what `see` gave as cut: the leading numbers of the embedding, and of the map. */
  async raise(cut) {
    const made = await this.session.run({ cut }, ["embedding", "map"]);
    return { embedding: made.embedding.data, map: made.map.data };
  }
}
