// The camera, live: a frame to fill, hints on blur, glare and light while it runs, the torch where there is one, and the sharpest of a burst.
import { findFault, measure } from "./quality.js";

const BURST = 8;
const PAUSE = 70;  // milliseconds between its pictures
const LOOK = 350;  // milliseconds between two looks for hints
const HINT_SIDE = 416;  // pixels of the longer side that a look takes
const SHARP_SIDE = 640;  // pixels of the middle by which pictures of a burst are compared, at their own scale
const FIND_SIDE = 480;  // of what is sent to find the four corners
const FAST = 700;  // milliseconds within which they must come back to follow the hand
const HINTED = new Set(["blurred", "glare", "too_dark", "too_bright", "blank"]);

/** Whether there may be a camera here: only over HTTPS, or on this machine. */
export const hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia) && isSecureContext;

export class Camera {
  #dialog; #video; #stream = null; #timer = 0; #slow = 0; #hint; #form; #words;
  rules = { bounds: [], limits: {}, least_side: 0, least_contrast: 0 };

  /**
   * dialog: with what is shown. words(name): of "camera" in the reader's language. took(file): takes a picture.
   * form: with a token and the address where corners are found; null where no server is asked.
   */
  constructor(dialog, words, took, form = null) {
    [this.#dialog, this.#words, this.#form] = [dialog, words, form];
    this.#video = dialog.querySelector("video");
    this.#hint = dialog.querySelector("[data-hint]");
    dialog.querySelector("[data-shoot]").addEventListener("click", async ({ currentTarget: button }) => {
      button.disabled = true;
      const file = await this.#shoot();
      button.disabled = false;
      this.close();
      took(file);
    });
    dialog.querySelector("[data-torch]").addEventListener("click", () => this.#light());
    dialog.querySelector("[data-leave]").addEventListener("click", () => this.close());
    dialog.addEventListener("close", () => this.#stop());
  }

  async open() {
    this.#dialog.showModal();
    this.#say("");
    const video = { facingMode: "environment", width: { ideal: 2560 }, height: { ideal: 1920 } };
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    } catch {
      return this.#say(this.#words("refused"));
    }
    if (!this.#dialog.open) return this.#stop();
    this.#video.srcObject = this.#stream;
    await this.#video.play();
    this.#lay();
    const [track] = this.#stream.getVideoTracks();
    this.#dialog.querySelector("[data-torch]").hidden = !track.getCapabilities?.().torch;
    this.#dialog.querySelector("[data-shoot]").disabled = false;
    this.#slow = 0;
    this.#timer = setInterval(() => this.#look(), LOOK);
    this.#follow();
  }

  close() {
    if (this.#dialog.open) this.#dialog.close();
    else this.#stop();
  }

  #stop() {
    clearInterval(this.#timer);
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = this.#video.srcObject = null;
    this.#dialog.querySelector("[data-shoot]").disabled = true;
    this.#draw(null);
  }

  /** A frame of the video, its longer side at most `side`; middle: only so much of it, at its own scale. */
  #frame(side, middle = false) {
    const { videoWidth: w, videoHeight: h } = this.#video;
    const scale = middle ? 1 : Math.min(1, side / Math.max(w, h));
    const [width, height] = middle ? [Math.min(side, w), Math.min(side, h)] : [w, h].map((v) => Math.max(1, Math.round(v * scale)));
    const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d", { willReadFrequently: true });
    const from = middle ? [(w - width) / 2, (h - height) / 2, width, height] : [0, 0, w, h];
    context.drawImage(this.#video, ...from, 0, 0, width, height);
    return { canvas, context, width, height };
  }

  /** Lay the drawing over the picture itself, without the black around it. */
  #lay() {
    const { videoWidth: w, videoHeight: h } = this.#video, over = this.#dialog.querySelector("svg.over"), round = over.querySelector("circle");
    over.setAttribute("viewBox", `0 0 ${w} ${h}`);
    for (const path of over.querySelectorAll("path")) path.setAttribute("transform", `scale(${w / 100} ${h / 100})`);
    if (round) for (const [name, value] of Object.entries({ cx: w / 2, cy: h / 2, r: 0.44 * Math.min(w, h) })) round.setAttribute(name, value);
  }

  #look() {
    if (!this.#video.videoWidth) return;
    const { context, width, height } = this.#frame(HINT_SIDE);
    const { data } = context.getImageData(0, 0, width, height), pixels = new Uint8Array(width * height * 3);
    for (let i = 0, k = 0; i < data.length; i += 4) for (let c = 0; c < 3; c++) pixels[k++] = data[i + c];
    const plane = { width, height, channels: 3, data: pixels };
    const fault = findFault({ ...measure({ plane, box: [0, 0, width, height], width, height }), shorter: Infinity }, this.rules);
    this.#say(HINTED.has(fault) ? this.#words(fault) : "", fault);
  }

  #say(text, fault = "") {
    if (this.#hint.textContent !== text) this.#hint.textContent = text;
    this.#dialog.dataset.fault = text ? fault || "camera" : "";
  }

  /** Let the server find the corners of a photographed picture, as long as it is quick enough to follow the hand. */
  async #follow() {
    while (this.#stream && this.#slow < 2 && this.#form) {
      const began = performance.now();
      try {
        const { canvas } = this.#frame(FIND_SIDE), body = new FormData();
        body.append("csrf", this.#form.elements.csrf.value);
        body.append("image", await canvas.convertToBlob({ type: "image/jpeg", quality: 0.7 }), "live.jpg");
        const answer = await fetch(this.#form.dataset.photo, { method: "POST", body, headers: { Accept: "application/json" }, signal: AbortSignal.timeout(3 * FAST) });
        const found = answer.ok ? await answer.json() : null;
        this.#draw(this.#stream && found?.found ? found.corners.map(([x, y]) => [x / found.width, y / found.height]) : null);
        this.#slow = performance.now() - began > FAST ? this.#slow + 1 : 0;
      } catch { this.#slow += 1; }
      await new Promise((done) => setTimeout(done, LOOK));
    }
    this.#draw(null);  // the corners are then marked by hand, in the picture that was taken
  }

  #draw(places) {
    const path = this.#dialog.querySelector("[data-found]");
    path.setAttribute("d", places ? `M${places.map(([x, y]) => `${100 * x} ${100 * y}`).join("L")}Z` : "");
  }

  async #light() {
    const [track] = this.#stream?.getVideoTracks() ?? [], button = this.#dialog.querySelector("[data-torch]");
    const on = button.getAttribute("aria-pressed") !== "true";
    await track?.applyConstraints({ advanced: [{ torch: on }] }).then(() => button.setAttribute("aria-pressed", String(on)), () => { button.hidden = true; });
  }

  async #shoot() {
    let best = null, most = -1;
    for (let i = 0; i < BURST; i++) {
      const { context, width, height } = this.#frame(SHARP_SIDE, true);
      const sharp = sharpness(context.getImageData(0, 0, width, height));
      if (sharp > most) [best, most] = [this.#frame(Infinity).canvas, sharp];
      await new Promise((done) => setTimeout(done, PAUSE));
    }
    const blob = await best.convertToBlob({ type: "image/jpeg", quality: 0.95 });
    return new File([blob], `camera ${new Date().toISOString().slice(11, 19).replaceAll(":", "-")}.jpg`, { type: "image/jpeg" });
  }
}

/** The variance of the Laplacian of green, which holds most of what is seen. Source: Pech-Pacheco et al. 2000. */
export function sharpness({ data, width, height }) {
  let sum = 0, squares = 0, n = 0;
  for (let y = 1; y < height - 1; y++)
    for (let x = 1; x < width - 1; x++) {
      const i = 4 * (y * width + x) + 1;
      const v = 4 * data[i] - data[i - 4] - data[i + 4] - data[i - 4 * width] - data[i + 4 * width];
      sum += v;
      squares += v * v;
      n += 1;
    }
  return n ? squares / n - (sum / n) ** 2 : 0;
}
