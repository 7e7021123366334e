// Calls of the HTTP API: JSON as the request, the envelope as the response, and the bearer token.

/** An error response: `code`, `message` and `info` of the envelope. */
export class Refused extends Error {
  constructor({ code, message, info = {} }) {
    super(message);
    this.code = code;
    this.info = info;
  }
}

/** The calls of one login. Each login has its own instance, so that a late response cannot mix two logins. */
export class Api {
  /** The latest token, only in memory: no other page can read it, and a reload logs the user out. */
  token = null;

  async call(path, body = {}) {
    const headers = { "Content-Type": "application/json" };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    // Any response can contain a renewed token, which is used from then on.
    this.token = answer.headers.get("Authorization") ?? this.token;
    const { success, result, data } = await answer.json();
    if (!success) throw new Refused(result);
    return { result, data };
  }
}
