// Runs Better Auth over node:sqlite, set up as in its documentation, for `make bench-peers`.
//   node better-auth.mjs fill DIRECTORY USERS PASSWORD    creates the tables, the users, and an
//   organization with 50 of them
//   node better-auth.mjs serve DIRECTORY PORT             serves HTTP on 127.0.0.1
// The first user, user-0@example.org, owns the organization.
import { createServer } from "node:http";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { organization } from "better-auth/plugins";

const MEMBERS = 50;

const [command, directory, ...rest] = process.argv.slice(2);
const database = new DatabaseSync(join(directory, "better-auth.db"));
database.exec("PRAGMA journal_mode = WAL");

const auth = betterAuth({
  database,
  baseURL: "http://bench",
  secret: "c29tZSBzZWNyZXQgb2YgdGhlIGJlbmNobWFyaw==",
  emailAndPassword: { enabled: true },
  plugins: [organization()],
  // The limit would otherwise determine the measured rate.
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
});

async function fill(users, password) {
  const { runMigrations } = await getMigrations(auth.options);
  await runMigrations();
  const ids = [];
  for (let number = 0; number < users; number += 1) {
    const email = `user-${number}@example.org`;
    const { user } = await auth.api.signUpEmail({ body: { email, password, name: "Ann Other" } });
    ids.push(user.id);
  }
  const [userId, ...others] = ids.slice(0, MEMBERS);
  const { id: organizationId } = await auth.api.createOrganization({ body: { name: "A project", slug: "bench", userId } });
  for (const userId of others) {
    await auth.api.addMember({ body: { userId, role: "member", organizationId } });
  }
}

if (command === "fill") {
  await fill(Number(rest[0]), rest[1]);
} else {
  const handler = toNodeHandler(auth);
  const serve = (request, response) => (request.url === "/health" ? response.end() : handler(request, response));
  createServer(serve).listen(Number(rest[0]), "127.0.0.1");
}
