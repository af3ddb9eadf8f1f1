// One case under review: keys for all that can be said, and boxes drawn by mouse, pen, finger or keyboard.
const review = document.querySelector("[data-review]");
const form = review?.querySelector("[data-readform]");
const typing = (target) => target.closest("input:not([type=radio]):not([type=checkbox]), select, textarea, summary");

addEventListener("keydown", (event) => {
  if (!review || event.ctrlKey || event.altKey || event.metaKey || typing(event.target)) return;
  const choice = form?.querySelectorAll("[data-choice]")[Number(event.key) - 1];
  if (/^[1-9]$/.test(event.key) && choice) {
    choice.checked = choice.type === "radio" || !choice.checked;
    choice.focus();
  } else if (event.key === "Enter" && form && !event.target.closest("a, button")) {
    event.preventDefault();
    form.requestSubmit(form.querySelector("[value=label]"));
  } else {
    const button = review.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!button) return;
    event.preventDefault();
    button.click();
  }
});

const field = form?.querySelector("[data-boxes]");
if (field) draw();

function draw() {
  const area = review.querySelector("[data-drawing]");
  const [width, height] = [Number(area.dataset.width), Number(area.dataset.height)];
  const rows = form.querySelector("[data-rows]");
  const template = form.querySelector("[data-row]");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  area.append(svg);
  const boxes = [];
  for (const box of JSON.parse(field.value)) boxes.push(add(box));
  keep();

  function add(box) {
    const row = template.content.firstElementChild.cloneNode(true);
    const shape = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const made = { box: { label: row.querySelector("select").value, ...box }, row, shape };
    for (const input of row.querySelectorAll("[data-of]")) {
      if (input.type === "number") input.max = "xwidth".includes(input.dataset.of) ? width : height;
      input.addEventListener("input", () => {
        made.box[input.dataset.of] = input.dataset.of === "label" ? input.value : Number(input.value);
        show(made);
      });
      input.addEventListener("focus", () => shape.classList.add("now"));
      input.addEventListener("blur", () => shape.classList.remove("now"));
    }
    row.querySelector("[data-remove]").addEventListener("click", () => {
      boxes.splice(boxes.indexOf(made), 1);
      row.remove();
      shape.remove();
      keep();
      form.querySelector("[data-addbox]").focus();
    });
    rows.append(row);
    svg.append(shape);
    show(made);
    return made;
  }

  function show({ box, row, shape }) {
    for (const name of ["x", "y", "width", "height"]) {
      box[name] = Math.round(box[name]);
      shape.setAttribute(name, box[name]);
    }
    for (const input of row.querySelectorAll("[data-of]")) if (input !== document.activeElement) input.value = box[input.dataset.of];
    keep();
  }

  function keep() {
    field.value = JSON.stringify(boxes.map((one) => one.box));
  }

  form.querySelector("[data-addbox]").addEventListener("click", () => {
    const made = add({ x: width / 4, y: height / 4, width: width / 2, height: height / 2 });
    boxes.push(made);
    keep();
    made.row.querySelector("select").focus();
  });

  const place = (event) => {
    const seen = svg.getBoundingClientRect();
    return [
      Math.min(width, Math.max(0, (event.clientX - seen.left) / seen.width * width)),
      Math.min(height, Math.max(0, (event.clientY - seen.top) / seen.height * height)),
    ];
  };
  svg.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    svg.setPointerCapture(event.pointerId);
    const [x, y] = place(event);
    const shape = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    shape.classList.add("now");
    svg.append(shape);
    let box = null;
    const move = (now) => {
      const [a, b] = place(now);
      box = { x: Math.min(x, a), y: Math.min(y, b), width: Math.abs(a - x), height: Math.abs(b - y) };
      for (const name of Object.keys(box)) shape.setAttribute(name, box[name]);
    };
    const end = () => {
      svg.removeEventListener("pointermove", move);
      shape.remove();
      if (!box || box.width < 3 || box.height < 3) return;
      boxes.push(add(box));
      keep();
    };
    svg.addEventListener("pointermove", move);
    svg.addEventListener("pointerup", end, { once: true });
    svg.addEventListener("pointercancel", end, { once: true });
  });
}
