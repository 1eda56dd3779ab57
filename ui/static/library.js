// The forms and buttons of the library, which use the service's REST endpoints.
(() => {
  "use strict";
  const RELOAD_MS = 4000; // a small document is indexed by then

  const errorMessage = (request) => {
    try {
      const message = JSON.parse(request.responseText)?.error?.message;
      if (message) return message;
    } catch { /* not an answer of the service */ }
    return "The service cannot be reached; try again.";
  };

  const show = (output, text, isGood) => {
    output.className = isGood ? "good" : "bad";
    output.textContent = text;
  };

  // Send fields to an address. Show the progress of the upload; return the finished request.
  const send = (method, address, fields, progress) => new Promise((resolve) => {
    const request = new XMLHttpRequest(); // fetch() does not report the progress of an upload
    request.open(method, address);
    request.upload.onprogress = (event) => {
      if (!progress) return;
      progress.hidden = false;
      progress.value = event.total ? event.loaded / event.total : 0;
    };
    request.onloadend = () => {
      if (progress) progress.hidden = true;
      resolve(request);
    };
    request.send(fields);
  });
  const isGood = (request) => request.status >= 200 && request.status < 300;

  const uploadRow = (list, name) => {
    const row = document.createElement("li");
    row.innerHTML = '<span></span><progress max="1" hidden></progress><output></output>';
    row.firstChild.textContent = name;
    list.append(row);
    return row;
  };

  // Send each file of the form by itself: a broken one does not stop the others.
  const sendEach = async (form) => {
    const list = form.querySelector(".uploads");
    const field = form.dataset.each;
    const files = [...form.elements[field].files];
    const rows = files.map((file) => uploadRow(list, file.name));
    let sent = 0;
    for (const [number, file] of files.entries()) {
      const fields = new FormData(form);
      fields.set(field, file);
      const row = rows[number];
      const progress = row.querySelector("progress");
      const request = await send("POST", form.dataset.post, fields, progress);
      sent += isGood(request);
      const text = isGood(request) ? "received" : errorMessage(request);
      show(row.querySelector("output"), text, isGood(request));
    }
    return sent === files.length ? "" : `${sent} of ${files.length} files were received.`;
  };

  const sendForm = async (form) => {
    const output = form.querySelector(":scope > output");
    const button = form.querySelector("button");
    button.disabled = true;
    form.querySelector(".uploads")?.replaceChildren();
    show(output, "Sending…", true);
    let problem;
    if (form.dataset.each) problem = await sendEach(form);
    else {
      const progress = form.querySelector("progress");
      const request = await send("POST", form.dataset.post, new FormData(form), progress);
      problem = isGood(request) ? "" : errorMessage(request);
    }
    button.disabled = false;
    show(output, problem || form.dataset.done, !problem);
    if (!problem) form.reset();
  };

  const remove = async (button) => {
    if (!confirm(`Delete ${button.dataset.name} for good?`)) return;
    button.disabled = true;
    const request = await send("DELETE", button.dataset.remove);
    if (isGood(request)) button.closest("tr").remove();
    else {
      button.disabled = false;
      alert(errorMessage(request));
    }
  };

  // Send another file under the name of a document. It must be of the same format.
  const replace = async (input) => {
    const [file] = input.files;
    const name = input.dataset.replace;
    const output = input.closest("td").querySelector("output");
    const suffix = (text) => text.slice(text.lastIndexOf(".")).toLowerCase();
    if (suffix(file.name) !== suffix(name)) {
      show(output, `Choose a ${suffix(name)} file, or delete this one and upload the other.`, false);
      return;
    }
    const fields = new FormData();
    fields.set("corpus", input.dataset.corpus);
    fields.set("file", file, name);
    const request = await send("POST", "../v1/index-jobs", fields);
    show(output, isGood(request) ? "Received; it is indexed now." : errorMessage(request),
      isGood(request));
    if (isGood(request)) setTimeout(() => location.reload(), RELOAD_MS);
  };

  const cancelJob = (button) => {
    button.disabled = true;
    fetch(`v1/index-jobs/${button.dataset.cancel}`, { method: "DELETE" });
  };

  document.addEventListener("click", (event) => {
    const cancel = event.target.closest?.("[data-cancel]");
    const removal = event.target.closest?.("[data-remove]");
    if (cancel) cancelJob(cancel);
    else if (removal) remove(removal);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches?.("[data-replace]") && event.target.files.length) replace(event.target);
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-post]")) return;
    event.preventDefault();
    sendForm(event.target);
  });
})();
