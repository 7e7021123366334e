// Keeps a picture up to date, by a socket: what was missed first, then what happens, row by row.

import { io } from "./vendor/socket.io.esm.min.js";

/** Before something that failed is tried again. */
const PAUSE_MS = 1000;
/** For `init` to be acknowledged. */
const PATIENCE_MS = 10_000;
const LOG_IN_AGAIN = "This login is over. Log in again.";

const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));

export class Feed {
  #api;
  #picture;
  /** `state(name)`, `row(row)` after it was replayed, `filled()`, `ended(reason)`. */
  #tell;
  #socket;
  /** Of the last row that was heard. */
  #cursor = 0;
  /** Rows are replayed one after the other, also when they come faster than their entries. */
  #work = Promise.resolve();
  #isRestarting = false;
  #isOver = false;

  constructor(api, picture, tell) {
    this.#api = api;
    this.#picture = picture;
    this.#tell = tell;
    this.#socket = io({
      path: "/sync/io",
      autoConnect: false,
      // Long polling is for networks that let no WebSocket through.
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      // A function: a connection that is made again has the token of then.
      auth: (send) => send({ JWT: api.token }),
    });
    this.#listen();
  }

  /** Goes on from the answer of a login. */
  start(login) {
    this.#fill(login);
    this.#tell.state("connecting");
    this.#socket.connect();
  }

  end(reason = "") {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#socket.disconnect();
    this.#tell.ended(reason);
  }

  #listen() {
    const socket = this.#socket;
    socket.on("connect", () => this.#init());
    socket.on("sync", (rows) => this.#hear(rows));
    socket.on("authorization", ({ JWT }) => {
      if (JWT === null) this.end(LOG_IN_AGAIN);
      else this.#api.token = JWT;
    });
    socket.on("cursor_expired", () => this.#restart());
    socket.on("disconnect", (reason) => {
      this.#tell.state("offline");
      if (reason === "io server disconnect") this.#reconnect();
    });
    socket.on("connect_error", (error) => {
      this.#tell.state("offline");
      if (error.message === "Permission denied") this.end(LOG_IN_AGAIN);
      // What else the server refuses is not tried again by the library itself.
      else if (!socket.active) this.#reconnect();
    });
  }

  /** Asks for what came after the cursor, and for all that is to come. */
  #init() {
    this.#tell.state("connecting");
    this.#socket.timeout(PATIENCE_MS).emit("init", { cc_cursor: this.#cursor }, (error, envelope) => {
      if (this.#isOver || (error && !this.#socket.connected)) return;
      if (error || !envelope.success) {
        if (envelope?.result.code === 401) this.end(LOG_IN_AGAIN);
        // Such as a cursor that is older than what the feed still keeps.
        else this.#restart();
        return;
      }
      this.#cursor = envelope.result["cc.cursor"] ?? this.#cursor;
      this.#hear(envelope.result.sync);
      this.#tell.state("live");
    });
  }

  #hear(rows) {
    for (const row of rows) {
      this.#cursor = row.cursor;
      this.#then(async () => {
        await this.#picture.replay(row, this.#api);
        if (!this.#isOver) this.#tell.row(row);
      });
    }
  }

  /** After all that is to be done already. */
  #then(step) {
    this.#work = this.#work.then(() => this.#isOver || step()).catch((error) => {
      if (error.code === 401) this.end(LOG_IN_AGAIN);
      else this.#restart();
    });
  }

  /** The picture misses something: begins anew, with what init answers. */
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
    this.#tell.filled();
  }

  async #reconnect() {
    await pause();
    if (!this.#isOver && !this.#isRestarting) this.#socket.connect();
  }
}
