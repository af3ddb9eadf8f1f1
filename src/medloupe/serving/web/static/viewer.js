// The picture beside the same with its heat map: zoom, move, window and level, invert; by mouse, touch and keyboard.
const MOST = 12;

export function viewer(root) {
  const pane = root.querySelector(".pane:not(.original)");
  const original = root.querySelector("[data-original]");
  const picture = pane.querySelector("[data-picture]");
  if (!picture.hasAttribute("src")) return;
  for (const heat of pane.querySelectorAll(".heat:not([src])")) {
    root.querySelector(`[data-pick="${heat.dataset.heat}"]`)?.closest(".option").remove();
    heat.remove();
  }
  const mapped = pane.querySelector(".heat") !== null;
  for (const part of root.querySelectorAll("[data-heatbar]")) part.hidden = !mapped;
  const frame = pane.querySelector(".frame");
  if (mapped) {
    const copy = frame.cloneNode(false);
    copy.append(picture.cloneNode());
    original.querySelector("[data-plate]").append(copy);
  }
  const beside = () => { original.hidden = !mapped || root.querySelector("[data-pick=off]").checked; };
  root.addEventListener("change", beside);
  beside();
  const plates = [...root.querySelectorAll("[data-plate]")].filter((plate) => plate.firstElementChild);
  zooming(root, plates);
  if (picture.complete) shades(root); else picture.addEventListener("load", () => shades(root), { once: true });
}

function zooming(root, plates) {
  let [scale, x, y] = [1, 0, 0];
  const frames = plates.map((plate) => plate.querySelector(".frame"));
  const fingers = new Map();

  function show() {
    const { offsetWidth: w, offsetHeight: h } = frames.find((frame) => frame.offsetWidth) ?? frames[0];
    scale = Math.min(MOST, Math.max(1, scale));
    x = Math.min(w * (scale - 1) / 2, Math.max(-w * (scale - 1) / 2, x));
    y = Math.min(h * (scale - 1) / 2, Math.max(-h * (scale - 1) / 2, y));
    for (const frame of frames) frame.style.transform = scale === 1 ? "" : `translate(${x}px, ${y}px) scale(${scale})`;
    root.classList.toggle("zoomed", scale > 1);
    const part = (moved, side) => [0.5 - (0.5 * side + moved) / scale / side, 0.5 + (0.5 * side - moved) / scale / side];
    const [[left, right], [top, bottom]] = [part(x, w || 1), part(y, h || 1)];
    root.dispatchEvent(new CustomEvent("viewed", { bubbles: true, detail: { zoom: scale, left, right, top, bottom } }));
  }
  /** Zoom by a factor, so that the place at (px, py) from the middle stays. */
  function zoom(factor, px = 0, py = 0) {
    const before = scale;
    scale = Math.min(MOST, Math.max(1, scale * factor));
    x = px - (px - x) * scale / before;
    y = py - (py - y) * scale / before;
    show();
  }
  function move(dx, dy) { x += dx; y += dy; show(); }
  function whole() { [scale, x, y] = [1, 0, 0]; show(); }

  const middle = (plate, event) => {
    const box = plate.getBoundingClientRect();
    return [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
  };
  for (const plate of plates) {
    plate.tabIndex = 0;
    plate.setAttribute("role", "group");
    plate.setAttribute("aria-label", root.getAttribute("aria-label"));
    plate.setAttribute("aria-describedby", root.querySelector("[id^=keys-]").id);
    plate.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && scale === 1) return;
      event.preventDefault();
      zoom(2 ** (-event.deltaY / 300), ...middle(plate, event));
    }, { passive: false });
    plate.addEventListener("dblclick", (event) => scale > 1 ? whole() : zoom(2.5, ...middle(plate, event)));
    plate.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      fingers.set(event.pointerId, event);
      if (scale > 1 || fingers.size > 1) plate.setPointerCapture(event.pointerId);
    });
    plate.addEventListener("pointermove", (event) => {
      const last = fingers.get(event.pointerId);
      if (!last) return;
      const other = [...fingers.values()].find((one) => one.pointerId !== event.pointerId);
      fingers.set(event.pointerId, event);
      if (other) {
        const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
        zoom(apart(event) / apart(last), ...middle(plate, event));
      } else if (scale > 1) move(event.clientX - last.clientX, event.clientY - last.clientY);
    });
    for (const end of ["pointerup", "pointercancel"]) plate.addEventListener(end, (event) => fingers.delete(event.pointerId));
    plate.addEventListener("dragstart", (event) => event.preventDefault());
    plate.addEventListener("keydown", (event) => {
      const step = 40;
      const act = {
        "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), "0": whole,
        i: () => root.querySelector("[data-do=invert]").click(),
        ...scale > 1 && { ArrowLeft: () => move(step, 0), ArrowRight: () => move(-step, 0), ArrowUp: () => move(0, step), ArrowDown: () => move(0, -step) },
      }[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
  }
  root.addEventListener("click", (event) => {
    const act = { zoom_in: () => zoom(1.5), zoom_out: () => zoom(1 / 1.5), whole }[event.target.closest("[data-do]")?.dataset.do];
    act?.();
  });
  addEventListener("resize", show);
}

/** Window, level and invert, for pictures without colour: brightness goes through one straight line. */
function shades(root) {
  const pictures = root.querySelectorAll("[data-picture]");
  if (!grey(pictures[0])) return;
  const filter = root.querySelector("filter");
  const [window_, level] = ["window", "level"].map((name) => root.querySelector(`[data-grey=${name}]`));
  const invert = root.querySelector("[data-do=invert]");
  const show = () => {
    const inverted = invert.getAttribute("aria-pressed") === "true";
    const slope = 100 / (100 - window_.value);
    const intercept = 0.5 - slope * (1 - level.value / 100);
    for (const part of filter.firstElementChild.children) {
      part.setAttribute("slope", inverted ? -slope : slope);
      part.setAttribute("intercept", inverted ? 1 - intercept : intercept);
    }
    const same = !inverted && slope === 1 && level.value === "50";
    for (const one of pictures) one.style.filter = same ? "" : `url(#${filter.id})`;
  };
  root.querySelector("[data-greys]").hidden = false;
  for (const slider of [window_, level]) slider.addEventListener("input", show);
  invert.addEventListener("click", () => {
    invert.setAttribute("aria-pressed", invert.getAttribute("aria-pressed") !== "true");
    show();
  });
  root.querySelector("[data-do=whole]").addEventListener("click", () => {
    [window_.value, level.value] = [0, 50];
    invert.setAttribute("aria-pressed", "false");
    show();
  });
}

function grey(picture) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 32;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(picture, 0, 0, 32, 32);
  const points = pen.getImageData(0, 0, 32, 32).data;
  let most = 0;
  for (let i = 0; i < points.length; i += 4) {
    most = Math.max(most, Math.abs(points[i] - points[i + 1]), Math.abs(points[i + 1] - points[i + 2]));
  }
  return most < 12;
}
