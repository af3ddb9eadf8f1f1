// The camera of this device, with a shutter for each class: a picture a press; held down, one after the other.
const HELD_MS = 600;  // after which a press is one that is held
const BETWEEN_MS = 350;

export function camera(root, say, took) {
  const dialog = root.querySelector("[data-camera]");
  const video = dialog.querySelector("[data-video]");
  const said = dialog.querySelector("[data-camerasay]");
  const shutters = dialog.querySelector("[data-shutters]");
  const pattern = dialog.querySelector("[data-shutter]");
  let stream = null;
  let taken = new Map();  // by class

  root.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-opencamera]");
    if (!button) return;
    const asked = button.closest("[data-class]").dataset.class;
    said.textContent = "";
    taken = new Map();
    shutters.replaceChildren(...[...root.querySelectorAll("[data-class]")].map((one) => shutterOf(one.dataset.class)));
    dialog.showModal();
    [...shutters.children].find((one) => one.dataset.shoot === asked)?.focus();
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1440 } } });
      video.srcObject = stream;
      await video.play();
    } catch {
      said.textContent = say("Nocamera");
    }
  });

  function shutterOf(label) {
    const button = pattern.content.firstElementChild.cloneNode(true);
    button.dataset.shoot = label;
    button.querySelector("[data-name]").textContent = label;
    button.setAttribute("aria-label", say("Shoot", { name: label }));
    return button;
  }

  function take(button) {
    if (!video.videoWidth) return;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    const label = button.dataset.shoot;
    canvas.toBlob((blob) => {
      if (!blob) return;
      const count = (taken.get(label) ?? 0) + 1;
      taken.set(label, count);
      button.querySelector("[data-taken]").textContent = `✓ ${count}`;
      said.textContent = `${label}: ${count}`;
      took(new File([blob], `camera-${Date.now()}-${count}.jpg`, { type: "image/jpeg" }), label);
    }, "image/jpeg", 0.95);
  }

  let held = 0;
  let several = false;
  const pressed = (event) => event.target.closest("[data-shoot]");
  shutters.addEventListener("pointerdown", (event) => {
    const button = pressed(event);
    if (!button) return;
    clearTimeout(held);
    several = false;
    held = setTimeout(function again() {
      several = true;
      take(button);
      held = setTimeout(again, BETWEEN_MS);
    }, HELD_MS);
    button.addEventListener("pointerleave", () => clearTimeout(held), { once: true });
  });
  for (const kind of ["pointerup", "pointercancel"]) shutters.addEventListener(kind, () => clearTimeout(held));
  shutters.addEventListener("click", (event) => {
    const button = pressed(event);
    if (button && !several) take(button);
    several = false;
  });
  shutters.addEventListener("contextmenu", (event) => event.preventDefault());  // phones open it where a finger stays

  dialog.querySelector("[data-closecamera]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    clearTimeout(held);
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = video.srcObject = null;
  });
}
