// The walk: every image of the way comes in one picture, so that the slider moves without asking again.

import { readAddress, writeAddress } from "./address.js";
import { byId, copyAddress, fieldNumber, randomSeed, save } from "./page.js";
import { Sheet, most, shownWidth } from "./pictures.js";

const STEPS = 64;
const LARGE = 320; // CSS pixels
const ONE_WAY = 6000; // milliseconds of playing
const FRAME = 64; // CSS pixels of one image of the film
const FIELDS = { from: ["walk-from-seed", "walk-from-index"], to: ["walk-to-seed", "walk-to-index"] };

export class Walk {
  #connection;
  #status;
  #sheet = null;
  #loading = null;
  #playing = 0;

  constructor(connection, status) {
    this.#connection = connection;
    this.#status = status;
    const position = byId("position");
    byId("walk-form").addEventListener("submit", (event) => event.preventDefault());
    for (const id of Object.values(FIELDS).flat()) byId(id).addEventListener("change", () => this.#typed());
    position.addEventListener("input", () => this.#moved());
    position.addEventListener("change", () => writeAddress({ step: position.valueAsNumber }));
    byId("film").addEventListener("click", (event) => this.#jump(event));
    byId("play").addEventListener("click", () => (this.#playing ? this.#stop() : this.#play()));
    byId("walk-download").addEventListener("click", () => this.#download());
    byId("walk-copy").addEventListener("click", () => copyAddress(byId("walk-note")));
    byId("walk-random").addEventListener("click", () => this.#go({ from: [randomSeed(), "0"], to: [randomSeed(), "0"] }));
    new ResizeObserver(() => this.#drawFilm()).observe(byId("film").parentElement);
  }

  // Begins at an image of the gallery.
  from(seed, image) {
    this.#go({ from: [seed, image], step: 0 });
    byId("walk").scrollIntoView({ block: "start", behavior: "smooth" });
    byId("position").focus({ preventScroll: true });
  }

  // Shows what the address says, of the bundle that `status` tells of.
  async show(status = this.#status) {
    this.#status = status;
    this.#stop();
    const { from, to, step } = readAddress();
    for (const [key, ends] of Object.entries({ from, to })) {
      FIELDS[key].forEach((id, index) => {
        byId(id).value = ends[index];
        byId(id).setAttribute("aria-invalid", "false");
      });
    }
    byId("walk-note").textContent = "";
    const steps = Math.max(2, most(STEPS, status));
    await this.#load(this.#path(steps), steps, Math.min(step, steps - 1));
  }

  async #load(path, steps, step) {
    this.#loading?.abort();
    const loading = (this.#loading = new AbortController());
    try {
      const sheet = await Sheet.load(this.#connection, path, steps, loading.signal);
      if (loading.signal.aborted) return sheet.close();
      this.#sheet?.close();
      this.#sheet = sheet;
      byId("position").max = String(steps - 1);
      byId("position").value = String(step);
      for (const id of ["position", "play", "walk-download", "walk-copy"]) byId(id).disabled = false;
      this.#drawEnds();
      this.#drawFilm();
      this.#moved();
    } catch (error) {
      if (!loading.signal.aborted) byId("walk-note").textContent = error.message;
    }
  }

  #path(steps, step = null) {
    const { from, to } = readAddress();
    const ends = `from=${from[0]}&from_index=${from[1]}&to=${to[0]}&to_index=${to[1]}`;
    return `/v1/walk?${ends}&steps=${steps}` + (step === null ? "" : `&step=${step}`);
  }

  #moved() {
    if (!this.#sheet) return;
    const step = byId("position").valueAsNumber;
    const said = `Step ${step + 1} of ${this.#sheet.count}`;
    this.#sheet.draw(step, byId("stage"));
    byId("stage").setAttribute("aria-label", said);
    byId("position").setAttribute("aria-valuetext", said);
    byId("step").textContent = said;
  }

  #drawEnds() {
    const last = this.#sheet.count - 1;
    for (const [id, index] of [["walk-first", 0], ["walk-last", last]]) {
      this.#sheet.draw(index, byId(id));
      byId(id).style.setProperty("--shown", `${shownWidth(this.#sheet.width)}px`);
    }
    byId("stage").style.setProperty("--shown", `${shownWidth(this.#sheet.width, LARGE)}px`);
    for (const id of ["walk-first", "walk-last", "stage"]) byId(id).classList.toggle("smooth", this.#sheet.width > LARGE);
  }

  // As many images of the way as fit side by side, at equal distances.
  #drawFilm() {
    const sheet = this.#sheet;
    if (!sheet) return;
    const film = byId("film");
    const width = shownWidth(sheet.width, FRAME);
    const height = Math.round((width * sheet.height) / sheet.width);
    film.width = film.parentElement.clientWidth;
    film.height = height;
    const frames = Math.max(2, Math.min(sheet.count, Math.floor((film.width + 2) / (width + 2))));
    for (let frame = 0; frame < frames; frame++) {
      const share = frame / (frames - 1);
      const left = Math.round(share * (film.width - width));
      sheet.paint(Math.round(share * (sheet.count - 1)), film.getContext("2d"), left, 0, width, height);
    }
  }

  #jump(event) {
    if (!this.#sheet) return;
    const position = byId("position");
    this.#stop();
    position.value = String(Math.round((event.offsetX / event.target.clientWidth) * Number(position.max)));
    this.#moved();
    writeAddress({ step: position.valueAsNumber });
  }

  #play() {
    const position = byId("position");
    const last = Number(position.max);
    const begun = performance.now() - (position.valueAsNumber / last) * ONE_WAY;
    const frame = (now) => {
      const way = ((now - begun) / ONE_WAY) % 2;
      position.value = String(Math.round((way <= 1 ? way : 2 - way) * last));
      this.#moved();
      this.#playing = requestAnimationFrame(frame);
    };
    byId("play").setAttribute("aria-pressed", "true");
    byId("play").textContent = "Stop";
    this.#playing = requestAnimationFrame(frame);
  }

  #stop() {
    if (!this.#playing) return;
    cancelAnimationFrame(this.#playing);
    this.#playing = 0;
    byId("play").setAttribute("aria-pressed", "false");
    byId("play").textContent = "Play";
    writeAddress({ step: byId("position").valueAsNumber });
  }

  async #download() {
    const step = byId("position").valueAsNumber;
    const { from, to } = readAddress();
    const name = `walk-${from.join(".")}-to-${to.join(".")}-step-${step}.png`;
    try {
      save(await this.#connection.blob(this.#path(this.#sheet.count, step)), name);
    } catch (error) {
      byId("walk-note").textContent = error.message;
    }
  }

  #typed() {
    const note = byId("walk-note");
    const read = (ids) => ids.map((id) => fieldNumber(byId(id), note));
    for (const [key, ids] of Object.entries(FIELDS)) {
      const numbers = read(ids);
      if (numbers.includes(null)) return;
      writeAddress({ [key]: numbers });
    }
    this.show();
  }

  #go(changes) {
    writeAddress(changes, { push: true });
    this.show();
  }
}
