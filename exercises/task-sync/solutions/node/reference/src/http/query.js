/**
 * Parses a query string strictly. A parameter that is given twice becomes an array and one that is no UTF-8 becomes
 * null: no schema that asks for a string accepts either.
 *
 * @param {string} text without the question mark
 * @returns {Record<string, string | null | Array<string | null>>}
 */
export function parseQuery(text) {
  const parameters = new Map();
  for (const pair of text.split("&").filter(Boolean)) {
    const [name, ...rest] = pair.split("=");
    const key = decode(name);
    const value = decode(rest.join("="));
    parameters.set(key, parameters.has(key) ? [parameters.get(key), value].flat() : value);
  }
  return Object.fromEntries(parameters);
}

function decode(text) {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return null;
  }
}
