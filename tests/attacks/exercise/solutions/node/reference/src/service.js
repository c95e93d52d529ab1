/** A service that greets and knows who is signed in. */
import { randomUUID } from "node:crypto";
import http from "node:http";

const sessions = new Map();

const answer = (response, status, value) => {
  const headers = { "Content-Type": "application/json", "X-Content-Type-Options": "nosniff" };
  response.writeHead(status, headers).end(JSON.stringify(value));
};

const signIn = (response, body) => {
  let name;
  try {
    name = JSON.parse(body)?.username;
  } catch {
    name = undefined;
  }
  if (typeof name !== "string" || !name) return answer(response, 422, { title: "No name" });
  const token = randomUUID();
  sessions.set(token, name);
  return answer(response, 201, { token });
};

/** The service, not yet listening. */
export const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, "http://127.0.0.1");
  if (url.pathname === "/health") return answer(response, 200, { status: "ok" });
  if (url.pathname === "/greeting") {
    return answer(response, 200, { greeting: `Hello, ${url.searchParams.get("name") ?? "world"}!` });
  }
  if (url.pathname === "/me") {
    const name = sessions.get((request.headers.authorization ?? "").replace(/^Bearer /u, ""));
    return name ? answer(response, 200, { username: name }) : answer(response, 401, { title: "Nobody" });
  }
  if (url.pathname === "/sessions" && request.method === "POST") {
    let body = "";
    for await (const chunk of request) {
      body += chunk;
      if (body.length > 1 << 20) return answer(response, 413, { title: "Too large" });
    }
    return signIn(response, body);
  }
  return answer(response, 404, { title: "Not found" });
});
