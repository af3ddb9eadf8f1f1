// The camera of this device: one class after another, a picture a press; held down, one after the other.
const HELD_MS = 600;  // after which a press is one that is held
const BETWEEN_MS = 350;

export function camera(root, say, took) {
  const dialog = root.querySelector("[data-camera]");
  const video = dialog.querySelector("[data-video]");
  const said = dialog.querySelector("[data-camerasay]");
  const shoot = dialog.querySelector("[data-shoot]");
  let stream = null;
  let label = "";
  let count = 0;

  root.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-opencamera]");
    if (!button) return;
    label = button.closest("[data-class]").dataset.class;
    dialog.querySelector("[data-cameraclass]").textContent = label;
    said.textContent = "";
    count = 0;
    dialog.showModal();
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1440 } } });
      video.srcObject = stream;
      await video.play();
    } catch {
      said.textContent = say("Nocamera");
    }
  });

  function take() {
    if (!video.videoWidth) return;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob((blob) => {
      if (!blob) return;
      count += 1;
      said.textContent = `✓ ${count}`;
      took(new File([blob], `camera-${Date.now()}-${count}.jpg`, { type: "image/jpeg" }), label);
    }, "image/jpeg", 0.95);
  }

  let held = 0;
  let several = false;
  shoot.addEventListener("pointerdown", () => {
    several = false;
    held = setTimeout(function again() {
      several = true;
      take();
      held = setTimeout(again, BETWEEN_MS);
    }, HELD_MS);
  });
  for (const kind of ["pointerup", "pointercancel", "pointerleave"]) shoot.addEventListener(kind, () => clearTimeout(held));
  shoot.addEventListener("click", () => { if (!several) take(); several = false; });
  shoot.addEventListener("contextmenu", (event) => event.preventDefault());  // phones open it where a finger stays

  dialog.querySelector("[data-closecamera]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    clearTimeout(held);
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = video.srcObject = null;
  });
}
