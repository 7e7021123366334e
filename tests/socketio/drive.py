"""Socket.IO client for tests: emits the event of each line that it reads, and prints each event that it receives. Lines are
JSON in both directions."""

import asyncio
import json
import sys

import socketio


def say(*words):
    print(json.dumps(words), flush=True)


async def main():
    asked = json.loads(sys.argv[1])
    client = socketio.AsyncClient(reconnection=False)
    client.on("connect", lambda: say("connect", client.transport()))
    client.on("disconnect", lambda reason: say("disconnect", reason))
    client.on("*", say)
    client.on("connect_error", lambda data: say("connect_error", data["message"] if isinstance(data, dict) else data))

    try:
        await client.connect(asked["url"], auth=asked["auth"], transports=asked["transports"], socketio_path="/sync/io")
    except socketio.exceptions.ConnectionError:
        # The handler of connect_error has printed it.
        return
    while line := await asyncio.to_thread(sys.stdin.readline):
        event, *words = json.loads(line)
        await client.emit(event, tuple(words), callback=lambda *answer: say("ack", *answer))
    await client.disconnect()


asyncio.run(main())
