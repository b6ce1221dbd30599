// Commands and schemas as text, for the page of the API.

const QUOTED = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// A command that works as it stands, given an image.png where the request is one; null where its body is too long.
export function curl(api, path, method, operation, origin) {
  const words = ["curl"];
  if (api.security.length && operation.security?.length !== 0) words.push('-H "Authorization: Bearer $GANPORT_TOKEN"');
  const kinds = Object.keys(operation.requestBody?.content ?? {});
  const example = operation.requestBody?.content["application/json"]?.example;
  if (example) words.push("-H 'Content-Type: application/json'", `-d ${QUOTED(JSON.stringify(example))}`);
  else if (kinds.includes("multipart/form-data")) words.push("-F image=@image.png");
  else if (kinds.length) return null;
  else if (method !== "get") words.push(`-X ${method.toUpperCase()}`);
  const url = origin + filled(path, operation.parameters ?? []);
  const kept = Object.keys(operation.responses[200].content ?? {})[0] ?? "";
  if (kept.startsWith("image/")) words.push("-OJ");
  return [...words, QUOTED(url)].join(" ");
}

// The path with an example for each of its parameters, and an example of its query.
function filled(path, parameters) {
  const values = parameters.filter((one) => one.example !== undefined || one.in === "path");
  const query = [];
  for (const { name, in: place, example, schema } of values) {
    const value = example ?? schema.enum?.[0] ?? "main.js";
    if (place === "path") path = path.replace(`{${name}}`, value);
    else if (place === "query") query.push(`${name}=${value}`);
  }
  return query.length ? `${path}?${query.join("&")}` : path;
}

// A schema as JSON, short lists on one line.
export function schemaText(schema) {
  return JSON.stringify(schema, null, 2).replace(/\[\s+((?:"[^"]*"|[\d.-]+)(?:,\s+(?:"[^"]*"|[\d.-]+))*)\s+\]/g, (_, items) =>
    `[${items.replace(/,\s+/g, ", ")}]`,
  );
}
