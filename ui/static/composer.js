// The composer: its panels, its keys, and pictures that are pasted or dropped anywhere on the page.
(() => {
  "use strict";
  const unirag = window.unirag;
  const DOUBLE_CLICK_MS = 400;
  const MAX_CHARACTERS = 4000, COUNT_FROM = 3500; // the service has the limit; see ui/draft.py
  const find = (selector) => document.querySelector(selector);
  const box = () => find("#question textarea");
  const isAnswering = () => Boolean(find("#question .stop-button"));
  unirag.isAnswering = isAnswering;

  const setPanel = (id, isOpen) => {
    const panel = find(`#${id}`);
    if (panel) panel.dataset.isOpen = isOpen;
    find(`[data-panel="${id}"]`)?.setAttribute("aria-expanded", isOpen);
  };
  const closePanels = (except = "") => {
    for (const button of document.querySelectorAll("[data-panel]"))
      if (button.dataset.panel !== except) setPanel(button.dataset.panel, false);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-panel]");
    if (!button) return;
    const id = button.dataset.panel;
    closePanels(id);
    setPanel(id, button.getAttribute("aria-expanded") !== "true");
  });

  unirag.focusQuestion = () => box()?.focus();
  unirag.heard = () => {
    setPanel("voice-panel", false);
    showCount();
    box()?.focus();
  };

  // Something was typed, attached or drawn.
  const isEmpty = () => {
    const drawing = find("#sketch")?.dataset.drawn === "true";
    return !box()?.value.trim() && !find("#question .thumbnail-item") && !drawing;
  };

  // Nothing is sent while an answer is being written, and an empty question does nothing.
  let lastAsk = -Infinity;
  const guard = (event) => {
    const isDouble = event.timeStamp - lastAsk < DOUBLE_CLICK_MS;
    if (isDouble || isAnswering()) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    lastAsk = event.timeStamp;
    unirag.sending?.();
  };
  document.addEventListener("keydown", (event) => {
    if (event.target !== box() || event.key !== "Enter" || event.shiftKey || event.isComposing)
      return;
    if (isEmpty()) event.preventDefault();
    else guard(event);
  }, true);
  document.addEventListener("keypress", (event) => {
    const isSend = event.target === box() && event.key === "Enter" && !event.shiftKey;
    if (isSend && (isEmpty() || isAnswering())) event.stopImmediatePropagation();
  }, true);
  document.addEventListener("click", (event) => {
    const send = event.target.closest?.("#question .submit-button");
    const card = event.target.closest?.("[data-ask], [data-sketch], [data-event=retry]");
    if (send && isEmpty()) event.stopImmediatePropagation();
    else if (send || card) guard(event);
  }, true);
  unirag.closePanels = closePanels;

  // Typing on the page, when nothing else takes the keys, goes on in the question box.
  document.addEventListener("keydown", (event) => {
    const isText = event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey;
    const isFree = event.target.matches?.("body, .turn h2");
    if (isText && isFree && event.key !== " " && box()?.offsetParent) box().focus();
  });

  // The number of characters, once the limit comes near.
  const showCount = () => {
    const length = box()?.value.length ?? 0;
    const line = find("#line");
    if (!line) return;
    line.dataset.count = length > COUNT_FROM
      ? `${length.toLocaleString("en")} of ${MAX_CHARACTERS.toLocaleString("en")} characters` : "";
    line.classList.toggle("too-long", length > MAX_CHARACTERS);
  };
  document.addEventListener("input", (event) => { if (event.target === box()) showCount(); });
  unirag.showCount = showCount;

  // Gradio takes pictures that are pasted into the text or dropped on it; the page takes the rest.
  const attach = (files) => {
    const input = find("#question input[type=file]");
    const pictures = [...files].filter((file) => file.type.startsWith("image/"));
    if (!input || !pictures.length) return false;
    const transfer = new DataTransfer();
    pictures.forEach((picture) => transfer.items.add(picture));
    input.files = transfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    return true;
  };
  const isElsewhere = (event) => box()?.offsetParent
    && !event.target.closest?.("#question, input, textarea, .library");
  document.addEventListener("paste", (event) => {
    if (isElsewhere(event) && attach(event.clipboardData?.files ?? [])) event.preventDefault();
  });
  document.addEventListener("dragover", (event) => {
    if (isElsewhere(event)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    if (isElsewhere(event) && attach(event.dataTransfer?.files ?? [])) event.preventDefault();
  });

  // Gradio's box has no label that a screen reader finds.
  unirag.labelQuestion = () => box()?.setAttribute("aria-label", "Your question");
})();
