// A client that does what it is told, line by line, and says what happens to it: JSON both ways.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

// Where scripts/setup.sh has put it.
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
