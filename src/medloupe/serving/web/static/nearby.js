// Places nearby: asks the device for its position only when told to, sends it in the body of one request, and forgets it with the page.
const DIGITS = 3;  // of a degree: about 100 m, as much as distances need
const PATIENCE = 20000;
const last = new WeakMap();  // what was asked last by each section, for another kind of place

/** Everything is delegated, since answers come and go within a page. */
export function nearby() {
  if (!isSecureContext || !navigator.geolocation) {
    document.documentElement.classList.add("nowhere");
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-locate]");
    if (button && button.getAttribute("aria-disabled") !== "true") locate(button);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const section = form.closest("[data-nearby]");
    if (!section || !form.matches("[data-where], [data-which]")) return;
    event.preventDefault();
    const asked = new Map();
    if (form.matches("[data-which]")) asked.set("number", event.submitter.value);
    else asked.set("place", form.elements.place.value);
    show(section, asked);
  });
  document.addEventListener("change", (event) => {
    const section = event.target.closest("[data-nearby]");
    if (section && event.target.name === "kind" && last.has(section)) show(section, last.get(section));
  });
}

function locate(button) {
  const section = button.closest("[data-nearby]");
  const form = section.querySelector("[data-where]");
  if (!isSecureContext || !navigator.geolocation) return tell(section, form.dataset.sayInsecure);
  button.setAttribute("aria-disabled", "true");
  tell(section, form.dataset.sayAsking);
  const done = () => button.removeAttribute("aria-disabled");
  navigator.geolocation.getCurrentPosition(({ coords }) => {
    done();
    show(section, new Map([
      ["lat", coords.latitude.toFixed(DIGITS)], ["lon", coords.longitude.toFixed(DIGITS)],
      ["accuracy", String(Math.round(coords.accuracy))],
    ]));
  }, () => {
    done();
    tell(section, form.dataset.sayDenied);
    form.elements.place.focus();
  }, { enableHighAccuracy: false, timeout: PATIENCE, maximumAge: 60000 });
}

async function show(section, asked) {
  const form = section.querySelector("[data-where]");
  tell(section, form.dataset.sayLoading);
  last.set(section, asked);
  const body = new URLSearchParams([["csrf", form.elements.csrf.value], ["kind", form.elements.kind.value], ["level", form.elements.level.value], ...asked]);
  try {
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/html", "X-Part": "1" } });
    if (!answer.ok) throw new Error(answer.status);
    const made = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-near-found]");
    if (last.get(section) !== asked) return;  // something else was asked meanwhile
    section.querySelector("[data-found]").replaceChildren(made);
    tell(section, "");
    made.querySelector("[data-near-title]")?.focus();
  } catch {
    tell(section, form.dataset.sayLost);
  }
}

function tell(section, text) {
  const status = section.querySelector("[data-where-status]");
  status.textContent = text;
  status.hidden = !text;
}
