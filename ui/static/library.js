// The forms of the library, which are sent to the service's REST endpoints.
(() => {
  "use strict";

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
    const cancel = event.target.closest?.("[data-cancel]");
    if (cancel) cancelJob(cancel);
  });

  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-post]")) return;
    event.preventDefault();
    sendForm(event.target);
  });
})();
