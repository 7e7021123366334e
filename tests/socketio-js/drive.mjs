// Socket.IO client for tests: emits the event of each line that it reads, and prints each event
// that it receives. Lines
// are JSON in both directions.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

// MODULES is the folder in which scripts/setup.sh installs the client.
const { io } = createRequire(process.env.MODULES + "/")("socket.io-client");
const say = (...words) => console.log(JSON.stringify(words));
const { url, transports, auth } = JSON.parse(process.argv[2]);
const socket = io(url, { path: "/sync/io", transports, auth, reconnection: false });

socket.on("connect", () => say("connect", socket.io.engine.transport.name));
socket.on("connect_error", (error) => say("connect_error", error.message));
socket.on("disconnect", (reason) => say("disconnect", reason));
socket.io.engine.on("upgrade", (transport) => say("upgrade", transport.name));
socket.onAny((event, ...words) => say(event, ...words));

for await (const line of createInterface({ input: process.stdin })) {
  const [event, ...words] = JSON.parse(line);
  socket.emit(event, ...words, (answer) => say("ack", answer));
}
socket.close();
