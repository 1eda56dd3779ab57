// The conversation: its address, its place on the screen, the buttons below an answer, its name.
(() => {
  "use strict";
  const unirag = window.unirag;
  const COPIED_MS = 2000;
  const find = (selector) => document.querySelector(selector);
  const turns = () => [...document.querySelectorAll(".turn")];
  const idInAddress = () => new URLSearchParams(location.search).get("conversation") ?? "";
  const otherTabs = new BroadcastChannel("unirag");

  // Gradio asks for the conversation to load.
  unirag.start = () => {
    unirag.showTheme();
    return [idInAddress()];
  };
  let isLoaded = false;
  unirag.loaded = () => {
    isLoaded = true;
    document.body.dataset.ready = "true";
    unirag.labelQuestion();
    showNewest();
  };

  // The address names the conversation: it can be kept as a link, and the back button works.
  unirag.showAddress = (id) => {
    if (!isLoaded || id === idInAddress()) return;
    const address = new URL(location.href);
    if (id) address.searchParams.set("conversation", id);
    else address.searchParams.delete("conversation");
    history.pushState(null, "", address);
  };
  window.addEventListener("popstate", () => {
    unirag.changeConversation({ conversation: idInAddress() });
  });

  const showNewest = () => turns().at(-1)?.scrollIntoView({ block: "start" });
  unirag.opened = showNewest;

  // A new question goes to the top of the screen, so that its answer has room.
  let isSending = false;
  unirag.sending = () => { isSending = true; };
  new MutationObserver(() => {
    const turn = find("#current-turn .turn");
    if (!turn || !isSending) return;
    isSending = false;
    unirag.closePanels();
    unirag.showCount();
    turn.scrollIntoView({ block: "start" });
  }).observe(document.documentElement, { childList: true, subtree: true });

  // The answer is complete, or it failed.
  unirag.answered = () => {
    isSending = false;
    const typed = find("#question textarea")?.value;
    const heading = turns().at(-1)?.querySelector("h2");
    if (!typed && !find("#note .failure")) heading?.focus({ preventScroll: true });
    otherTabs.postMessage(idInAddress());
  };

  // Another tab, or another device, may have changed the conversation.
  const refresh = async () => {
    const id = idInAddress();
    if (!id || unirag.isAnswering()) return;
    const reply = await fetch(`v1/conversations/${encodeURIComponent(id)}`).catch(() => null);
    if (!reply) return;
    const stored = reply.ok ? (await reply.json()).turns : [];
    const last = Number(turns().at(-1)?.dataset.turn ?? 0);
    if (stored.length !== turns().length || (stored.at(-1)?.number ?? 0) !== last)
      unirag.changeConversation({});
  };
  otherTabs.onmessage = (message) => { if (message.data === idInAddress()) refresh(); };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });

  for (const type of ["online", "offline"])
    window.addEventListener(type, () => document.body.classList.toggle("offline", type === "offline"));

  const send = (method, path, body) => fetch(path, {
    method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });

  const copy = async (button) => {
    const text = button.parentElement.querySelector(".copied").content.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch { // over plain http the browser has no clipboard for pages
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, COPIED_MS);
  };

  const vote = async (button) => {
    const turn = button.closest(".turn");
    const isTakenBack = button.getAttribute("aria-pressed") === "true";
    const value = isTakenBack ? 0 : Number(button.dataset.vote);
    const path = `v1/conversations/${turn.dataset.conversation}/turns/${turn.dataset.turn}/vote`;
    if (!(await send("PUT", path, { vote: value })).ok) return;
    for (const thumb of turn.querySelectorAll("[data-vote]"))
      thumb.setAttribute("aria-pressed", Number(thumb.dataset.vote) === value);
  };

  // Turn the name of a conversation into a field. Enter keeps the new name, Escape the old one.
  const rename = (button) => {
    const opener = button.parentElement.querySelector(".open");
    const field = document.createElement("input");
    field.value = opener.title;
    field.maxLength = 80;
    field.setAttribute("aria-label", "New name");
    opener.replaceWith(field);
    field.select();
    let isDone = false;
    const end = async (isKept) => {
      if (isDone) return;
      isDone = true;
      if (isKept)
        await send("PATCH", `v1/conversations/${button.dataset.rename}`, { title: field.value });
      field.replaceWith(opener);
      unirag.changeConversation({});
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") end(true);
      else if (event.key === "Escape") end(false);
    });
    field.addEventListener("blur", () => end(true));
    field.focus();
  };

  document.addEventListener("click", (event) => {
    const clicked = (selector) => event.target.closest?.(selector);
    const [copying, voting, renaming] = ["[data-copy]", "[data-vote]", "[data-rename]"].map(clicked);
    if (copying) copy(copying);
    else if (voting) vote(voting);
    else if (renaming) rename(renaming);
    else if (clicked(".skip")) {
      event.preventDefault();
      unirag.focusQuestion();
    }
  });
})();
