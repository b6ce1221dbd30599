// What people are told of the connection: a dot and a word on top, a banner below, a dialog for the token.

import { byId } from "./page.js";

const WORDS = { connecting: "Connecting", fine: "Ready", busy: "Busy", starting: "Not ready", guarded: "Token wanted", lost: "No answer" };
const TITLES = {
  lost: "The server does not answer.",
  busy: "The server is busy.",
  starting: "The server is not ready.",
};

export function showCondition(connection) {
  let shown = "";
  const show = () => {
    const { state, until, detail } = connection.condition;
    byId("health").dataset.state = state;
    setText("health-text", WORDS[state]);
    document.body.dataset.connection = state;
    const title = TITLES[state];
    byId("banner").hidden = !title;
    if (!title) return;
    const said = state === "lost" ? `${title} What you see is from before.` : `${title} ${capital(detail)}`;
    if (said !== shown) setText("banner-title", (shown = said));
    byId("banner-retry").hidden = !until;
    setText("banner-text", until ? `Trying again in ${Math.max(0, Math.ceil((until - Date.now()) / 1000))} s.` : "");
  };
  connection.addEventListener("change", show);
  setInterval(show, 500);
  byId("banner-retry").addEventListener("click", () => connection.tryNow());
  show();
}

// Resolves with what people typed; `refused` where the token before it was wrong.
export function askForToken(refused) {
  const dialog = byId("token-dialog");
  byId("token-note").textContent = refused ? "The server refused this token. Check it and try again." : "";
  dialog.showModal();
  byId("token").select();
  return new Promise((resolve) => {
    const submitted = (event) => {
      event.preventDefault();
      const token = byId("token").value.trim();
      if (!/^[\x21-\x7e]+$/.test(token)) {
        byId("token-note").textContent = "A token has no blanks and no letters beyond ASCII.";
        return;
      }
      byId("token-form").removeEventListener("submit", submitted);
      dialog.close();
      resolve(token);
    };
    byId("token-form").addEventListener("submit", submitted);
  });
}

// Without a token there is nothing to go back to.
byId("token-dialog").addEventListener("cancel", (event) => event.preventDefault());

function setText(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

function capital(text = "") {
  const line = text.charAt(0).toUpperCase() + text.slice(1);
  return line && !/[.!?]$/.test(line) ? `${line}.` : line;
}
