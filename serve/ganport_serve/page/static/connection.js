// One place that knows whether the server answers: every request waits here while it does not.

const FIRST_PAUSE = 1000; // milliseconds before a lost server is asked again
const LONGEST_PAUSE = 15000;
const TOKEN = "ganport-token";

export class Problem extends Error {
  constructor(status, detail) {
    super(detail || `The server answered ${status}.`);
    this.status = status;
  }
}

// Tells "change" whenever `condition` is another one.
export class Connection extends EventTarget {
  #lost = null; // {until, restored: Promise}
  #waits = new Set(); // of requests that the server asked to come again: {until, status, detail}
  #reason = null;
  #asking = null;
  #answered = false;
  #askForToken;

  constructor(askForToken) {
    super();
    this.#askForToken = askForToken;
  }

  get condition() {
    if (this.#lost) return { state: "lost", until: this.#lost.until };
    const wait = [...this.#waits].sort((a, b) => a.until - b.until)[0];
    if (wait) return { state: wait.status === 503 ? "starting" : "busy", until: wait.until, detail: wait.detail };
    if (this.#asking) return { state: "guarded" };
    if (this.#reason) return { state: "starting", detail: this.#reason };
    return { state: this.#answered ? "fine" : "connecting" };
  }

  // Why the server says that it is not ready, or null.
  set reason(reason) {
    if (this.#reason === reason) return;
    this.#reason = reason;
    this.#changed();
  }

  json(path, options) {
    return this.#get(path, (response) => response.json(), options);
  }

  blob(path, options) {
    return this.#get(path, (response) => response.blob(), options);
  }

  // Ends every pause at once.
  tryNow() {
    this.dispatchEvent(new Event("wake"));
  }

  async #get(path, read, { signal } = {}) {
    for (;;) {
      await this.#lost?.restored;
      signal?.throwIfAborted();
      const token = sessionStorage.getItem(TOKEN);
      let response;
      try {
        response = await fetch(path, { signal, headers: token ? { authorization: `Bearer ${token}` } : {} });
        if (response.ok) {
          const content = await read(response);
          this.#hear();
          return content;
        }
      } catch (error) {
        if (signal?.aborted) throw error;
        this.#lose();
        continue;
      }
      this.#hear();
      await this.#refused(response, token, signal);
    }
  }

  // Comes back where asking again helps, throws where it does not.
  async #refused(response, token, signal) {
    const problem = await response.json().catch(() => ({}));
    if (response.status === 401) {
      await this.#newToken(token);
    } else if (response.status === 429 || response.status === 503) {
      const seconds = Number(response.headers.get("retry-after")) || 1;
      await this.#waitAsAsked({ until: Date.now() + seconds * 1000, status: response.status, detail: problem.detail }, signal);
    } else {
      throw new Problem(response.status, problem.detail);
    }
  }

  async #waitAsAsked(wait, signal) {
    this.#waits.add(wait);
    this.#changed();
    try {
      await this.#pause(wait.until - Date.now(), signal);
    } finally {
      this.#waits.delete(wait);
      this.#changed();
    }
  }

  async #newToken(used) {
    if (sessionStorage.getItem(TOKEN) !== used) return; // another request has asked meanwhile
    this.#asking ??= this.#askForToken(used !== null).then((token) => {
      sessionStorage.setItem(TOKEN, token);
      this.#asking = null;
      this.#changed();
    });
    this.#changed();
    await this.#asking;
  }

  #lose() {
    if (this.#lost) return;
    const lost = { until: 0 };
    this.#lost = lost;
    lost.restored = this.#untilItAnswers(lost);
  }

  async #untilItAnswers(lost) {
    for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      lost.until = Date.now() + pause;
      this.#changed();
      await this.#pause(pause);
      try {
        await fetch("/v2/health/live", { cache: "no-store" });
        break;
      } catch {
        // still away
      }
    }
    this.#lost = null;
    this.#changed();
  }

  #pause(milliseconds, signal) {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        this.removeEventListener("wake", end);
        signal?.removeEventListener("abort", end);
        if (signal?.aborted) reject(signal.reason);
        else resolve();
      };
      const timer = setTimeout(end, milliseconds);
      this.addEventListener("wake", end);
      signal?.addEventListener("abort", end);
    });
  }

  #hear() {
    if (this.#answered) return;
    this.#answered = true;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
