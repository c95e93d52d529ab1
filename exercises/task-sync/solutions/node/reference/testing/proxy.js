import { once } from "node:events";
import { connect, createServer } from "node:net";

/** A TCP proxy that can be cut: stands between the service and its database when a test takes the latter away. */
export class Proxy {
  #server = createServer((near) => this.#join(near));
  #sockets = new Set();
  #target;

  /** @param {URL} target whose host and port the proxy leads to */
  constructor(target) {
    this.#target = { host: target.hostname, port: Number(target.port || 5432) };
  }

  /** Starts to listen, on the same port as before if there was one. */
  async open() {
    this.#server.listen(this.port ?? 0, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = this.#server.address().port;
  }

  /** Breaks all connections and refuses new ones. */
  async cut() {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#sockets.forEach((socket) => socket.destroy());
    await closed;
  }

  #join(near) {
    const far = connect(this.#target);
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  }
}
