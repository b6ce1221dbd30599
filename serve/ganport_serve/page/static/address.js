// What the page shows, in its address: a link shows the same.

import { wholeNumber } from "./page.js";

export const COUNTS = [12, 24, 48, 96];
const STEPS = 64;

const DEFAULTS = { seed: "0", count: 24, image: null, from: ["0", "0"], to: ["1", "0"], step: 0 };

export function readAddress() {
  const query = new URLSearchParams(location.search);
  const count = Number(query.get("count"));
  return {
    seed: wholeNumber(query.get("seed")) ?? DEFAULTS.seed,
    count: COUNTS.includes(count) ? count : DEFAULTS.count,
    image: wholeNumber(query.get("image")),
    from: end(query.get("from")) ?? DEFAULTS.from,
    to: end(query.get("to")) ?? DEFAULTS.to,
    step: Math.min(Number(wholeNumber(query.get("step")) ?? 0), STEPS - 1),
  };
}

// Changes some of what the address says; `push` where the browser's back button is to undo it.
export function writeAddress(changes, { push = false } = {}) {
  const state = { ...readAddress(), ...changes };
  const query = new URLSearchParams({ seed: state.seed, count: state.count });
  if (state.image !== null) query.set("image", state.image);
  query.set("from", state.from.join("."));
  query.set("to", state.to.join("."));
  query.set("step", state.step);
  const address = `?${query}`;
  if (address === location.search) return;
  if (push) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

// "7.3" is image 3 of seed 7.
function end(text) {
  const [seed, index = "0", ...rest] = (text ?? "").split(".");
  const numbers = [wholeNumber(seed), wholeNumber(index)];
  return rest.length || numbers.includes(null) ? null : numbers;
}
