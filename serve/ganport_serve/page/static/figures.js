// Live figures, asked for once a second while somebody looks.

import { byId } from "./page.js";

const EVERY = 1000; // milliseconds
const KEPT = 60; // figures in the curve
const round = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

// Tells "status" with each answer as its `detail`.
export class Figures extends EventTarget {
  #connection;
  #history = [];

  constructor(connection) {
    super();
    this.#connection = connection;
  }

  // The first status of a server that is ready; the others follow by themselves.
  async start() {
    const ready = new Promise((resolve) => {
      this.addEventListener("status", ({ detail: status }) => status.bundle && resolve(status));
    });
    this.#goOn();
    return ready;
  }

  async #goOn() {
    for (;;) {
      if (!document.hidden) await this.#ask().catch((error) => console.warn(error.message));
      await new Promise((resolve) => setTimeout(resolve, EVERY));
    }
  }

  async #ask() {
    const status = await this.#connection.json("/v1/status");
    this.#connection.reason = status.ready ? null : status.reason;
    this.#show(status);
    this.dispatchEvent(new CustomEvent("status", { detail: status }));
  }

  #show(status) {
    byId("figure-speed").textContent = round.format(status.images_per_second);
    byId("figure-queue").textContent = round.format(status.queue);
    seconds("figure-p50", status.latency_ms?.p50);
    seconds("figure-p99", status.latency_ms?.p99);
    byId("figure-images").textContent = round.format(status.images);
    byId("figure-refused").textContent = round.format(status.refused);
    byId("plan").textContent = status.plans.generator ?? "–";
    byId("bundle-name").textContent = status.bundle?.name ?? "No bundle yet";
    byId("bundle-digest").textContent = status.bundle?.digest.slice(0, 8) ?? "";
    this.#curve(status.images_per_second);
  }

  #curve(value) {
    this.#history = [...this.#history, value].slice(-KEPT);
    const top = Math.max(1, ...this.#history);
    const first = KEPT - this.#history.length;
    const points = this.#history.map((one, index) => `${(first + index) * 2},${(38 - (one / top) * 36).toFixed(1)}`);
    byId("history").firstElementChild.setAttribute("points", points.join(" "));
  }
}

function seconds(id, milliseconds) {
  const element = byId(id);
  const known = typeof milliseconds === "number";
  const text = !known ? "–" : milliseconds < 100 ? fine.format(milliseconds) : round.format(milliseconds);
  if (element.firstChild?.textContent === text) return;
  element.textContent = text;
  if (!known) return;
  const unit = document.createElement("small");
  unit.textContent = "ms";
  element.append(unit);
}
