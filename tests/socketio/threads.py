"""Does the same as drive.py with the threaded client. It handles each message in a separate thread, so in any order."""

import json
import sys

import socketio


def say(*words):
    print(json.dumps(words), flush=True)


asked = json.loads(sys.argv[1])
client = socketio.Client(reconnection=False)
client.on("connect", lambda: say("connect", client.transport()))
client.on("disconnect", lambda reason: say("disconnect", reason))
client.on("*", say)
client.on("connect_error", lambda data: say("connect_error", data["message"] if isinstance(data, dict) else data))

try:
    client.connect(asked["url"], auth=asked["auth"], transports=asked["transports"], socketio_path="/sync/io")
except socketio.exceptions.ConnectionError:
    # The handler of connect_error has printed it.
    sys.exit()
for line in sys.stdin:
    event, *words = json.loads(line)
    client.emit(event, tuple(words), callback=lambda *answer: say("ack", *answer))
client.disconnect()
