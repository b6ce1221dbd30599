// The page of the API, from the server's own OpenAPI document.

import { Connection } from "./connection.js";
import { curl, schemaText } from "./examples.js";
import { askForToken, showCondition } from "./notices.js";
import { byId, save } from "./page.js";

function show(api) {
  byId("version").textContent = api.info.version;
  byId("lead").append(...rich(api.info.description));
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  for (const tag of api.tags) {
    const own = operations.filter(({ operation }) => operation.tags.includes(tag.name));
    byId("contents").append(contents(tag, own));
    byId("operations").append(group(api, tag, own));
  }
  byId("document").addEventListener("click", (event) => {
    event.preventDefault(); // a link cannot send the token
    save(new Blob([JSON.stringify(api, null, 2)], { type: "application/json" }), "openapi.json");
  });
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

function contents(tag, operations) {
  const links = operations.map(({ path, method, operation }) =>
    make("li", {}, make("a", { href: `#${operation.operationId}` }, badge(method), make("span", {}, ...breakable(path)))),
  );
  return make("section", {}, make("h2", {}, tag.name), make("ul", {}, ...links));
}

function group(api, tag, operations) {
  const articles = operations.map((one) => article(api, one));
  return make("section", { class: "tag" }, make("h2", {}, capital(tag.name)), make("p", { class: "soft" }, tag.description), ...articles);
}

function article(api, { path, method, operation }) {
  const parts = [
    make("h3", {}, badge(method), make("code", {}, ...breakable(path))),
    make("p", {}, ...rich(`${operation.summary}. ${operation.description ?? ""}`)),
  ];
  if (operation.parameters) parts.push(parameters(operation.parameters));
  if (operation.requestBody) parts.push(...body(operation.requestBody));
  const command = curl(api, path, method, operation, location.origin);
  if (command) parts.push(make("pre", { class: "curl", tabindex: "0", "aria-label": "As a command" }, command));
  parts.push(answers(api, operation.responses));
  return make("article", { id: operation.operationId }, ...parts);
}

function parameters(list) {
  const rows = list.map((one) => [code(one.name), one.in, values(one), one.description ?? ""]);
  return table(["Parameter", "In", "Values", ""], rows);
}

function body({ description, content }) {
  const text = [description, `Sent as ${Object.keys(content).join(", ")}.`].filter(Boolean).join(" ");
  const schemas = Object.entries(content).filter(([, { schema }]) => schema);
  return [make("p", {}, text), ...schemas.map(([kind, { schema }]) => folded(`Body as ${kind}`, schemaText(schema)))];
}

function answers(api, responses) {
  const box = make("details", { class: "answers" }, make("summary", {}, "Answers"));
  const rows = Object.entries(responses).map(([status, response]) => {
    const found = resolve(api, response);
    return [code(status), make("span", {}, ...rich(found.description)), Object.keys(found.content ?? {}).join(", ")];
  });
  box.append(table(["Status", "Meaning", "As"], rows));
  for (const [status, response] of Object.entries(responses)) {
    const schema = response.content?.["application/json"]?.schema;
    if (schema) box.append(folded(`${status} as application/json`, schemaText(schema)));
  }
  return box;
}

function table(heads, rows) {
  const cell = (kind) => (content) => make(kind, {}, content);
  const head = make("tr", {}, ...heads.map(cell("th")));
  const lines = rows.map((row) => make("tr", {}, ...row.map(cell("td"))));
  return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...lines)));
}

function values({ schema, example }) {
  if (schema.enum) return schema.enum.join(", ") + said(schema);
  if (schema.minimum !== undefined) return `${schema.minimum} to ${power(schema.maximum)}${said(schema)}`;
  return example === undefined ? (schema.type ?? "") : `such as ${example}`;
}

const said = ({ default: value }) => (value === undefined ? "" : `; ${value} where left out`);
// JSON's numbers are not exact here beyond 2^53; the only bounds up there are 2^64 - 1
const power = (value) => (value === undefined ? "any" : value > Number.MAX_SAFE_INTEGER ? "2^64 − 1" : String(value));
const resolve = (api, { $ref, ...own }) => ($ref ? $ref.split("/").slice(1).reduce((at, name) => at[name], api) : own);
const folded = (title, text) => make("details", {}, make("summary", {}, title), make("pre", { tabindex: "0" }, text));
const badge = (method) => make("span", { class: `method ${method}` }, method.toUpperCase());
const code = (text) => make("code", {}, text);
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// What stands in backticks becomes code.
function rich(text) {
  return text.split("`").map((part, index) => (index % 2 ? code(part) : part));
}

// A path may break before each of its slashes.
function breakable(path) {
  return path.split(/(?=\/)/).flatMap((part, index) => (index ? [make("wbr"), part] : [part]));
}

function make(kind, attributes = {}, ...children) {
  const element = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const connection = new Connection(askForToken);
showCondition(connection);

try {
  show(await connection.json("/openapi.json"));
} catch (error) {
  byId("docs-note").textContent = error.message;
}
