// The picked image: large, with its seed and number, to be downloaded, shared, or walked from.

import { byId, copyAddress, save } from "./page.js";
import { Sheet, shownWidth } from "./pictures.js";

const LARGE = 320; // CSS pixels

export class Inspector {
  #connection;
  #shown = null; // {seed, image}

  constructor(connection, walkFrom) {
    this.#connection = connection;
    byId("download").addEventListener("click", () => this.#download());
    byId("copy").addEventListener("click", () => copyAddress(byId("picked-note")));
    byId("walk-from").addEventListener("click", () => walkFrom(this.#shown.seed, this.#shown.image));
  }

  // Shows an image; `draw` puts it on a canvas, null where it has to be asked for.
  async show(seed, image, draw) {
    this.#shown = { seed, image };
    byId("picked-note").textContent = "";
    const canvas = byId("picked");
    if (draw) {
      draw(canvas);
    } else {
      const sheet = await Sheet.load(this.#connection, this.#path(), 1);
      if (this.#shown.seed !== seed || this.#shown.image !== image) return sheet.close();
      sheet.draw(0, canvas);
      sheet.close();
    }
    fit(canvas);
    canvas.setAttribute("aria-label", `Seed ${seed}, image ${image}, large`);
    byId("picked-title").textContent = `Seed ${seed} · image ${image}`;
    byId("picked-text").textContent = `${canvas.width} × ${canvas.height} pixels. Always the same for this seed and number.`;
    for (const id of ["download", "copy", "walk-from"]) byId(id).disabled = false;
  }

  clear() {
    if (this.#shown === null) return;
    this.#shown = null;
    const canvas = byId("picked");
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    canvas.setAttribute("aria-label", "No image is picked");
    byId("picked-title").textContent = "Pick an image";
    byId("picked-text").textContent = "The same seed and number give the same image, always.";
    for (const id of ["download", "copy", "walk-from"]) byId(id).disabled = true;
  }

  async #download() {
    const { seed, image } = this.#shown;
    try {
      save(await this.#connection.blob(this.#path()), `seed-${seed}-image-${image}.png`);
    } catch (error) {
      byId("picked-note").textContent = error.message;
    }
  }

  #path() {
    return `/v1/images/${this.#shown.seed}.png?index=${this.#shown.image}`;
  }
}

// Shrunk images are smoothed, enlarged ones keep square pixels.
function fit(canvas) {
  canvas.style.setProperty("--shown", `${shownWidth(canvas.width, LARGE)}px`);
  canvas.classList.toggle("smooth", canvas.width > LARGE);
}
