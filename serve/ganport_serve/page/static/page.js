// Small things that every part of the page uses.

const LAST_SEED = 2n ** 64n - 1n;

export const byId = (id) => document.getElementById(id);

// A seed or number of an image as decimal digits, or null; numbers beyond 2^53 stay exact.
export function wholeNumber(text) {
  const digits = String(text ?? "").trim();
  if (!/^[0-9]{1,20}$/.test(digits) || BigInt(digits) > LAST_SEED) return null;
  return BigInt(digits).toString();
}

// The value of a field, or null with the field marked and a word in `note`.
export function fieldNumber(input, note) {
  const number = wholeNumber(input.value);
  input.setAttribute("aria-invalid", String(number === null));
  note.textContent = number === null ? `${input.value.trim() || "Nothing"} is no whole number from 0 to 2^64 - 1.` : "";
  return number;
}

export const randomSeed = () => String(crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000);

// Saves a file under a name, as a click on a link does.
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// Puts this page's address on the clipboard; where the browser forbids it, shows it.
export async function copyAddress(note) {
  try {
    await navigator.clipboard.writeText(location.href);
    note.textContent = "Link copied.";
  } catch {
    note.textContent = location.href;
  }
}
