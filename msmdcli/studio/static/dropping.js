// A performance dropped on the page becomes a take beside the manifest, and the style of the line that is shown.

import { set } from "./line.js";
import { $, page, progress, say } from "./page.js";

export function listen() {
  const stop = (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault();
  let inside = 0;
  const show = (on) => ($("drop").hidden = !on);
  addEventListener("dragenter", (event) => {
    stop(event);
    inside += 1;
    show(event.dataTransfer?.types.includes("Files"));
  });
  addEventListener("dragover", stop);
  addEventListener("dragleave", () => {
    inside = Math.max(0, inside - 1);
    if (!inside) show(false);
  });
  addEventListener("drop", (event) => {
    stop(event);
    inside = 0;
    show(false);
    take(event.dataTransfer?.files ?? []);
  });
  $("file").addEventListener("change", () => take($("file").files).finally(() => ($("file").value = "")));
}

export async function take(files) {
  const [file, second] = files;
  if (!file) return;
  if (second) return say("Drop one performance at a time.");
  if (page.lists.fixed()) return say("This line cannot be changed here.");
  if (page.line.dub) return say("A dub follows its original: name another one in the manifest.");
  const id = page.current;
  try {
    const { ref } = await sent(file);
    if (!page.about.takes.includes(ref)) page.about.takes.push(ref);
    if (id === page.current && page.line) set("style", ref, true);
  } catch (error) {
    say(error.message);
  } finally {
    progress();
  }
}

// A request that tells how far it is, which fetch does not.
function sent(file) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("POST", `api/take?name=${encodeURIComponent(file.name)}`);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => progress(`taking ${file.name}`, total ? loaded / total : 0));
    request.addEventListener("load", () => {
      const said = request.response ?? {};
      if (request.status === 200) done(said);
      else failed(new Error([said.error ?? `${file.name} was not taken (${request.status})`, said.hint && `(${said.hint})`].filter(Boolean).join(" ")));
    });
    request.addEventListener("error", () => failed(new Error("the studio does not answer (it has ended, or the file is too large)")));
    request.send(file);
  });
}
