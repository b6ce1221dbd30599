// The gallery: the first images of a seed as tiles, one of them picked.

import { readAddress, writeAddress } from "./address.js";
import { byId, fieldNumber, randomSeed } from "./page.js";
import { Sheet, most, shownWidth } from "./pictures.js";

export class Gallery {
  #connection;
  #inspector;
  #status;
  #sheet = null;
  #loading = null;

  constructor(connection, inspector, status) {
    this.#connection = connection;
    this.#inspector = inspector;
    this.#status = status;
    byId("gallery-form").addEventListener("submit", (event) => event.preventDefault());
    byId("seed").addEventListener("change", () => this.#typed());
    byId("count").addEventListener("change", () => this.#go({ count: Number(byId("count").value) }));
    byId("previous").addEventListener("click", () => this.#step(-1n));
    byId("next").addEventListener("click", () => this.#step(1n));
    byId("random").addEventListener("click", () => this.#go({ seed: randomSeed() }));
    byId("tiles").addEventListener("click", (event) => this.#pick(event.target.closest("button")));
    byId("tiles").addEventListener("keydown", (event) => this.#arrow(event));
  }

  // Shows what the address says, of the bundle that `status` tells of.
  async show(status = this.#status) {
    this.#status = status;
    const { seed, count, image } = readAddress();
    byId("seed").value = seed;
    byId("seed").setAttribute("aria-invalid", "false");
    byId("count").value = String(count);
    byId("previous").disabled = seed === "0";
    const shown = most(count, status);
    byId("gallery-note").textContent = shown < count ? `This server makes ${shown} images of this size at once.` : "";
    this.#lay(shown);
    await this.#load(seed, shown, image);
  }

  async #load(seed, count, image) {
    this.#loading?.abort();
    const loading = (this.#loading = new AbortController());
    byId("tiles").setAttribute("aria-busy", "true");
    try {
      const sheet = await Sheet.load(this.#connection, `/v1/images?seed=${seed}&count=${count}`, count, loading.signal);
      if (loading.signal.aborted) return sheet.close();
      this.#sheet?.close();
      this.#sheet = sheet;
      this.#draw(seed);
      if (image !== null) await this.#inspect(seed, image);
      else this.#inspector.clear();
    } catch (error) {
      if (!loading.signal.aborted) byId("gallery-note").textContent = error.message;
    } finally {
      if (this.#loading === loading) byId("tiles").removeAttribute("aria-busy");
    }
  }

  // As many tiles as there are images, before there is anything to draw on them.
  #lay(count) {
    const [height, width] = this.#status.bundle.image_shape;
    const tiles = byId("tiles");
    tiles.style.setProperty("--tile", `${shownWidth(width)}px`);
    while (tiles.childElementCount > count) tiles.lastElementChild.remove();
    while (tiles.childElementCount < count) tiles.append(tile(width, height));
    for (const canvas of tiles.querySelectorAll("canvas")) canvas.style.aspectRatio = `${width} / ${height}`;
    this.#mark(readAddress().image);
  }

  #draw(seed) {
    [...byId("tiles").children].forEach((button, index) => {
      this.#sheet.draw(index, button.firstElementChild);
      button.setAttribute("aria-label", `Seed ${seed}, image ${index}`);
    });
  }

  // One tile can be reached by Tab, the others from it by arrows.
  #mark(image) {
    const tiles = [...byId("tiles").children];
    const picked = image !== null && Number(image) < tiles.length ? Number(image) : -1;
    tiles.forEach((button, index) => {
      button.setAttribute("aria-pressed", String(index === picked));
      button.tabIndex = index === Math.max(0, picked) ? 0 : -1;
    });
  }

  #pick(button) {
    const index = [...byId("tiles").children].indexOf(button);
    if (index < 0 || !this.#sheet) return;
    writeAddress({ image: String(index) });
    this.#mark(String(index));
    this.#inspect(readAddress().seed, String(index));
  }

  #inspect(seed, image) {
    const here = Number(image) < this.#sheet.count;
    return this.#inspector.show(seed, image, here ? (canvas) => this.#sheet.draw(Number(image), canvas) : null);
  }

  #arrow(event) {
    const tiles = [...byId("tiles").children];
    const columns = getComputedStyle(byId("tiles")).gridTemplateColumns.split(" ").length;
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -Infinity, End: Infinity };
    const move = moves[event.key];
    if (move === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const now = tiles.indexOf(document.activeElement);
    const target = Number.isFinite(move) ? now + move : move < 0 ? 0 : tiles.length - 1;
    if (!tiles[target]) return;
    tiles[target].focus();
    this.#pick(tiles[target]);
  }

  #typed() {
    const seed = fieldNumber(byId("seed"), byId("gallery-note"));
    if (seed !== null) this.#go({ seed });
  }

  #step(by) {
    const seed = BigInt(readAddress().seed) + by;
    if (seed >= 0n && seed < 2n ** 64n) this.#go({ seed: seed.toString() });
  }

  #go(changes) {
    writeAddress(changes, { push: true });
    this.show();
  }
}

function tile(width, height) {
  const button = document.createElement("button");
  const canvas = document.createElement("canvas");
  button.type = "button";
  canvas.width = width;
  canvas.height = height;
  button.append(canvas);
  return button;
}
