// One result: how strong the heat map is laid over the picture, and feedback without leaving the page.

export function liven(reading) {
  const heats = reading.querySelectorAll(".heat");
  const strength = reading.querySelector("[data-strength]");
  strength?.addEventListener("input", () => {
    for (const heat of heats) heat.style.opacity = strength.value / 100;
  });
  const form = reading.querySelector("[data-feedback]");
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    give(form);
  });
}

async function give(form) {
  if (form.dataset.sent) return;
  form.dataset.sent = "yes";
  let status = form.querySelector("[role=status]");
  if (!status) {
    status = document.createElement("p");
    status.setAttribute("role", "status");
    form.append(status);
  }
  try {
    const answer = await fetch(form.action, {
      method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "text/html", "X-Part": "1" },
    });
    if (!answer.ok) throw new Error(answer.status);
    for (const child of [...form.children]) if (child !== status) child.remove();
    status.textContent = form.dataset.sayThanks;
  } catch {
    delete form.dataset.sent;
    status.textContent = form.dataset.sayLost;
  }
}
