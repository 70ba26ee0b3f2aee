// Unpacks the page's modules and starts them: beside a page that was opened from a disk, browsers load none.

"use strict";
window.msmdUnpacked = async (text) => {
  const raw = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).arrayBuffer();
};
(async () => {
  try {
    const texts = JSON.parse(new TextDecoder().decode(await msmdUnpacked(document.getElementById("modules").textContent)));
    const imports = {};
    for (const [name, text] of Object.entries(texts)) imports[name] = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    const map = document.createElement("script");
    map.type = "importmap";
    map.textContent = JSON.stringify({ imports });
    document.head.append(map);
    await import("review.js");
  } catch (error) {
    const box = document.getElementById("message");
    box.hidden = false;
    box.firstElementChild.textContent = `This browser cannot show the page (${error.message}). Chrome, Edge, Firefox or Safari of 2023 or later can.`;
    console.error(error);
  }
})();
