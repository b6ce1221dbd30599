// Puts the page together.

import { Connection } from "./connection.js";
import { Figures } from "./figures.js";
import { Gallery } from "./gallery.js";
import { Inspector } from "./inspector.js";
import { askForToken, showCondition } from "./notices.js";
import { Walk } from "./walk.js";

const connection = new Connection(askForToken);
showCondition(connection);

const figures = new Figures(connection);
const first = await figures.start();

const walk = new Walk(connection, first);
const inspector = new Inspector(connection, (seed, image) => walk.from(seed, image));
const gallery = new Gallery(connection, inspector, first);

const show = (status) => Promise.all([gallery.show(status), walk.show(status)]);
show(first);
addEventListener("popstate", () => show());

// Another bundle makes other images of the same seeds.
let digest = first.bundle?.digest;
figures.addEventListener("status", ({ detail: status }) => {
  if (!status.bundle || status.bundle.digest === digest) return;
  digest = status.bundle.digest;
  show(status);
});
