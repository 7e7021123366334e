// The HTTP API: JSON in, the envelope out, and the token that goes along.

/** An answer that isn't a success: `code`, `message` and `info` of the envelope. */
export class Refused extends Error {
  constructor({ code, message, info = {} }) {
    super(message);
    this.code = code;
    this.info = info;
  }
}

/** One login. Another one gets another of these, so that no late answer mixes the two. */
export class Api {
  /** The latest, in memory alone: no other page can read it, and a reload logs out. */
  token = null;

  async call(path, body = {}) {
    const headers = { "Content-Type": "application/json" };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    // Any answer may bring a renewed token: it is used from now on.
    this.token = answer.headers.get("Authorization") ?? this.token;
    const { success, result, data } = await answer.json();
    if (!success) throw new Refused(result);
    return { result, data };
  }
}
