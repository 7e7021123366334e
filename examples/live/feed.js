// Keeps a picture up to date through a socket: first the rows since the last cursor, then each new
// row.

import { io } from "./vendor/socket.io.esm.min.js";

/** Wait before a failed step is tried again. */
const PAUSE_MS = 1000;
/** Maximum time until `init` is acknowledged. */
const ACK_TIMEOUT_MS = 10_000;
const LOG_IN_AGAIN = "This login is over. Log in again.";

const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));

export class Feed {
  #api;
  #picture;
  /** Callbacks: `state(name)`, `row(row)` after the row was applied, `filled()`, `ended(reason)`. */
  #callbacks;
  #socket;
  /** Cursor of the last row that was received. */
  #cursor = 0;
  /** Queue of steps: rows are applied one after the other, even if they arrive faster than their entries are fetched. */
  #work = Promise.resolve();
  #isRestarting = false;
  #isOver = false;

  constructor(api, picture, callbacks) {
    this.#api = api;
    this.#picture = picture;
    this.#callbacks = callbacks;
    this.#socket = io({
      path: "/sync/io",
      autoConnect: false,
      // Long polling is for networks that block WebSockets.
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      // A function, so that each reconnection sends the current token.
      auth: (send) => send({ JWT: api.token }),
    });
    this.#subscribe();
  }

  /** Fills the picture with the response of a login and connects. */
  start(login) {
    this.#fill(login);
    this.#callbacks.state("connecting");
    this.#socket.connect();
  }

  end(reason = "") {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#socket.disconnect();
    this.#callbacks.ended(reason);
  }

  #subscribe() {
    const socket = this.#socket;
    socket.on("connect", () => this.#init());
    socket.on("sync", (rows) => this.#receive(rows));
    socket.on("authorization", ({ JWT }) => {
      if (JWT === null) this.end(LOG_IN_AGAIN);
      else this.#api.token = JWT;
    });
    socket.on("cursor_expired", () => this.#restart());
    socket.on("disconnect", (reason) => {
      this.#callbacks.state("offline");
      if (reason === "io server disconnect") this.#reconnect();
    });
    socket.on("connect_error", (error) => {
      this.#callbacks.state("offline");
      if (error.message === "Permission denied") this.end(LOG_IN_AGAIN);
      // After any other rejection the library does not reconnect by itself.
      else if (!socket.active) this.#reconnect();
    });
  }

  /** Requests the rows after the cursor and subscribes to later rows. */
  #init() {
    this.#callbacks.state("connecting");
    this.#socket.timeout(ACK_TIMEOUT_MS).emit("init", { cc_cursor: this.#cursor }, (error, envelope) => {
      if (this.#isOver || (error && !this.#socket.connected)) return;
      if (error || !envelope.success) {
        if (envelope?.result.code === 401) this.end(LOG_IN_AGAIN);
        // For example an expired cursor, whose rows are no longer stored.
        else this.#restart();
        return;
      }
      this.#cursor = envelope.result["cc.cursor"] ?? this.#cursor;
      this.#receive(envelope.result.sync);
      this.#callbacks.state("live");
    });
  }

  #receive(rows) {
    for (const row of rows) {
      this.#cursor = row.cursor;
      this.#then(async () => {
        await this.#picture.replay(row, this.#api);
        if (!this.#isOver) this.#callbacks.row(row);
      });
    }
  }

  /** Runs a step after all steps that are already queued. */
  #then(step) {
    this.#work = this.#work.then(() => this.#isOver || step()).catch((error) => {
      if (error.code === 401) this.end(LOG_IN_AGAIN);
      else this.#restart();
    });
  }

  /** Loads all data again with `init`, because rows or entries are missing. */
  #restart() {
    if (this.#isRestarting || this.#isOver) return;
    this.#isRestarting = true;
    this.#socket.disconnect();
    this.#then(async () => {
      const init = await this.#untilAnswered();
      this.#isRestarting = false;
      if (this.#isOver) return;
      this.#fill(init);
      this.#socket.connect();
    });
  }

  async #untilAnswered() {
    while (true) {
      await pause();
      try {
        return await this.#api.call("/api/init");
      } catch (error) {
        if (error.code === 401 || this.#isOver) throw error;
      }
    }
  }

  #fill(init) {
    this.#picture.fill(init);
    this.#cursor = init.result["cc.cursor"];
    this.#callbacks.filled();
  }

  async #reconnect() {
    await pause();
    if (!this.#isOver && !this.#isRestarting) this.#socket.connect();
  }
}
