import { createHmac, randomBytes } from "node:crypto";

const { BASE_URL = "http://127.0.0.1:8080", JWT_SECRET } = process.env;

/** @returns {{username: string, password: string}} of a user that does not exist yet */
export const newCredentials = () => ({
  username: `u_${randomBytes(8).toString("hex")}`,
  password: randomBytes(8).toString("hex"),
});

/** A JWT that the service believes, whatever it says. */
export function signed(claims) {
  const parts = [{ alg: "HS256", typ: "JWT" }, claims];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"));
  const mac = createHmac("sha256", JWT_SECRET).update(text.join("."));
  return `${text.join(".")}.${mac.digest("base64url")}`;
}

/** Someone who asks the service at BASE_URL, with or without a token. */
export class Client {
  /** @param {string} [token] */
  constructor(token) {
    this.authorization = token ? { authorization: `Bearer ${token}` } : {};
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   * @param {Record<string, string>} [headers]
   * @returns {Promise<{status: number, body: any}>}
   */
  async request(method, path, body, headers = {}) {
    const response = await fetch(BASE_URL + path, {
      method,
      headers: { "content-type": "application/json", ...this.authorization, ...headers },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
  }

  /** Creates a task and returns it. */
  async create(fields = {}) {
    const { body } = await this.request("POST", "/tasks", { title: "a task", ...fields });
    return body;
  }

  /** @returns {Promise<string[]>} the titles of a page */
  async titles(query = "") {
    const { body } = await this.request("GET", `/tasks?${query}`);
    return body.items.map(({ title }) => title);
  }

  /** Synchronises and returns the outcome. */
  async sync(since, ...changes) {
    const { body } = await this.request("POST", "/sync", { since, changes });
    return body;
  }
}

/** Registers someone and returns their id, credentials and tokens. */
export async function register() {
  const [anyone, credentials] = [new Client(), newCredentials()];
  const user = await anyone.request("POST", "/users", credentials);
  const tokens = await anyone.request("POST", "/auth/token", credentials);
  return { id: user.body.id, credentials, tokens: tokens.body };
}

/** @returns {Promise<Client>} a user of this test alone */
export async function newUser() {
  const { tokens } = await register();
  return new Client(tokens.access_token);
}
