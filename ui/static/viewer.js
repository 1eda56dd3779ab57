// The viewer of sources, the highlights of citations, and light and dark.
(() => {
  "use strict";
  window.unirag = {};

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
  window.unirag.showTheme = () => {
    const choice = localStorage.getItem("unirag-theme");
    if (choice) setDark(choice === "dark");
  };
  const toggleTheme = () => {
    const dark = !document.body.classList.contains("dark");
    localStorage.setItem("unirag-theme", dark ? "dark" : "light");
    setDark(dark);
  };

  document.addEventListener("click", (event) => {
    const opener = event.target.closest?.("[data-open]");
    if (opener) openItem(opener);
    else if (event.target.closest?.("[data-theme-toggle]")) toggleTheme();
  });
})();
