// What the page does without asking the server: the viewer, the highlights, light and dark, and
// the forms of the library, which post to the service's own endpoints.
(() => {
  "use strict";
  const viewer = () => {
    let dialog = document.getElementById("viewer");
    if (!dialog) {
      dialog = document.createElement("dialog");
      dialog.id = "viewer";
      dialog.setAttribute("aria-label", "Source");
      dialog.innerHTML =
        '<button type="button" class="close" aria-label="Close">×</button><div></div>';
      // a click on the backdrop is a click on the dialog itself
      dialog.addEventListener("click", (e) => {
        if (e.target === dialog || e.target.closest(".close")) dialog.close();
      });
      document.body.append(dialog);
    }
    return dialog;
  };

  const turnOf = (element) => element.closest(".turn");
  const cardIn = (turn, id) => turn?.querySelector(`.card[data-item="${id}"]`);

  const open = (opener) => {
    const turn = turnOf(opener);
    const card = cardIn(turn, opener.dataset.open);
    if (!card) return;
    turn.querySelectorAll(".card.open").forEach((c) => c.classList.remove("open"));
    card.classList.add("open");
    const dialog = viewer();
    dialog.lastElementChild.replaceChildren(card.querySelector("template").content.cloneNode(true));
    dialog.dataset.item = opener.dataset.open;
    dialog.showModal();
    dialog.scrollTop = 0;
  };

  const light = (event, on) => {
    const place = event.target.closest?.(".sentence, .card");
    const turn = place && turnOf(place);
    if (!turn) return;
    if (place.matches(".sentence")) {
      for (const id of place.dataset.cites.split(" ")) cardIn(turn, id)?.classList.toggle("lit", on);
    } else {
      const cites = `.sentence[data-cites~="${place.dataset.item}"]`;
      turn.querySelectorAll(cites).forEach((s) => s.classList.toggle("lit", on));
    }
  };
  for (const [name, on] of [["mouseover", true], ["focusin", true], ["mouseout", false], ["focusout", false]])
    document.addEventListener(name, (e) => light(e, on));

  const theme = (dark) => document.body.classList.toggle("dark", dark);
  // Gradio follows the system when it starts; what somebody chose here comes after it.
  window.uniragTheme = () => {
    const chosen = localStorage.getItem("unirag-theme");
    if (chosen) theme(chosen === "dark");
  };

  const send = (form) => {
    const said = form.querySelector("output");
    const bar = form.querySelector("progress");
    const button = form.querySelector("button");
    const request = new XMLHttpRequest();
    request.open("POST", form.dataset.post);
    request.upload.onprogress = (e) => {
      bar.hidden = false;
      bar.value = e.total ? e.loaded / e.total : 0;
    };
    request.onloadend = () => {
      bar.hidden = true;
      button.disabled = false;
      let answer = null;
      try { answer = JSON.parse(request.responseText); } catch { /* said below */ }
      const good = request.status >= 200 && request.status < 300;
      said.className = good ? "good" : "bad";
      said.textContent = good
        ? form.dataset.done
        : answer?.error?.message ?? "The service cannot be reached; try again.";
      if (good) form.reset();
    };
    button.disabled = true;
    said.className = "";
    said.textContent = "Sending…";
    request.send(new FormData(form));
  };

  document.addEventListener("click", (e) => {
    const at = (selector) => e.target.closest?.(selector);
    const opener = at("[data-open]");
    if (opener) return open(opener);
    if (at("[data-theme-toggle]")) {
      const dark = !document.body.classList.contains("dark");
      localStorage.setItem("unirag-theme", dark ? "dark" : "light");
      return theme(dark);
    }
    const cancel = at("[data-cancel]");
    if (cancel) {
      cancel.disabled = true;
      fetch(`v1/index-jobs/${cancel.dataset.cancel}`, { method: "DELETE" });
    }
  });
  let lately = 0;
  document.addEventListener("click", (e) => {
    if (!e.target.closest?.("#ask, [data-ask], [data-sketch]")) return;
    if (e.timeStamp - lately < 400) e.stopImmediatePropagation();
    else lately = e.timeStamp;
  }, true);
  document.addEventListener("submit", (e) => {
    if (!e.target.matches("form[data-post]")) return;
    e.preventDefault();
    send(e.target);
  });
})();
