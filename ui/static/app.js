// What the page does in the browser: the viewer, the highlights, light and dark, and the forms of
// the library, which are sent to the service's REST endpoints.
(() => {
  "use strict";
  const DOUBLE_CLICK_MS = 400;

  const getViewer = () => {
    let viewer = document.getElementById("viewer");
    if (!viewer) {
      viewer = document.createElement("dialog");
      viewer.id = "viewer";
      viewer.setAttribute("aria-label", "Source");
      viewer.innerHTML =
        '<button type="button" class="close" aria-label="Close">×</button><div></div>';
      // a click on the backdrop arrives as a click on the dialog itself
      viewer.addEventListener("click", (event) => {
        if (event.target === viewer || event.target.closest(".close")) viewer.close();
      });
      document.body.append(viewer);
    }
    return viewer;
  };

  const turnOf = (element) => element.closest(".turn");
  const findCard = (turn, itemId) => turn?.querySelector(`.card[data-item="${itemId}"]`);

  // Show the item of the button in the viewer, and mark its card as open.
  const openItem = (button) => {
    const itemId = button.dataset.open;
    const turn = turnOf(button);
    const card = findCard(turn, itemId);
    if (!card) return;
    turn.querySelectorAll(".card.open").forEach((other) => other.classList.remove("open"));
    card.classList.add("open");
    const viewer = getViewer();
    viewer.lastElementChild.replaceChildren(card.querySelector("template").content.cloneNode(true));
    viewer.dataset.item = itemId;
    viewer.showModal();
    viewer.scrollTop = 0;
  };

  // Highlight the cards of a sentence's citations, or the sentences that cite a card.
  const highlight = (event, on) => {
    const element = event.target.closest?.(".sentence, .card");
    const turn = element && turnOf(element);
    if (!turn) return;
    const related = element.matches(".sentence")
      ? element.dataset.cites.split(" ").map((itemId) => findCard(turn, itemId))
      : [...turn.querySelectorAll(`.sentence[data-cites~="${element.dataset.item}"]`)];
    related.forEach((other) => other?.classList.toggle("highlighted", on));
  };
  for (const type of ["mouseover", "focusin"])
    document.addEventListener(type, (event) => highlight(event, true));
  for (const type of ["mouseout", "focusout"])
    document.addEventListener(type, (event) => highlight(event, false));

  const setDark = (dark) => document.body.classList.toggle("dark", dark);
  // Gradio sets the system's theme when it starts. The page calls this after it, so that the
  // student's own choice wins.
  window.uniragTheme = () => {
    const choice = localStorage.getItem("unirag-theme");
    if (choice) setDark(choice === "dark");
  };
  const toggleTheme = () => {
    const dark = !document.body.classList.contains("dark");
    localStorage.setItem("unirag-theme", dark ? "dark" : "light");
    setDark(dark);
  };

  const errorMessage = (request) => {
    try {
      const message = JSON.parse(request.responseText)?.error?.message;
      if (message) return message;
    } catch { /* not an answer of the service */ }
    return "The service cannot be reached; try again.";
  };

  // Send a form to its endpoint. Show the progress of the upload, then the outcome.
  const sendForm = (form) => {
    const output = form.querySelector("output");
    const progress = form.querySelector("progress");
    const button = form.querySelector("button");
    const request = new XMLHttpRequest(); // fetch() does not report the progress of an upload
    request.open("POST", form.dataset.post);
    request.upload.onprogress = (event) => {
      progress.hidden = false;
      progress.value = event.total ? event.loaded / event.total : 0;
    };
    request.onloadend = () => {
      progress.hidden = true;
      button.disabled = false;
      const ok = request.status >= 200 && request.status < 300;
      output.className = ok ? "good" : "bad";
      output.textContent = ok ? form.dataset.done : errorMessage(request);
      if (ok) form.reset();
    };
    button.disabled = true;
    output.className = "";
    output.textContent = "Sending…";
    request.send(new FormData(form));
  };

  const cancelJob = (button) => {
    button.disabled = true;
    fetch(`v1/index-jobs/${button.dataset.cancel}`, { method: "DELETE" });
  };

  document.addEventListener("click", (event) => {
    const clicked = (selector) => event.target.closest?.(selector);
    const opener = clicked("[data-open]");
    const cancel = clicked("[data-cancel]");
    if (opener) openItem(opener);
    else if (clicked("[data-theme-toggle]")) toggleTheme();
    else if (cancel) cancelJob(cancel);
  });

  // A double click must not ask a question twice.
  let lastAsk = 0;
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("#ask, [data-ask], [data-sketch]")) return;
    if (event.timeStamp - lastAsk < DOUBLE_CLICK_MS) event.stopImmediatePropagation();
    else lastAsk = event.timeStamp;
  }, true);

  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-post]")) return;
    event.preventDefault();
    sendForm(event.target);
  });
})();
