"""A small server that tells what reaches it, to stand behind the front: echo_server.py PORT NAME."""

import asyncio
import hashlib
import json
import sys
from contextlib import suppress

import uvicorn

NAME = sys.argv[-1]
GO = asyncio.Semaphore(0)
state = {"unwell": False, "produced": 0, "begun": 0, "left": 0}


async def app(scope, receive, send):
    path = scope["path"]
    if path == "/":
        await answer(send, f"<p>page of {NAME}</p>".encode(), kind="text/html")
    elif path == "/healthz":
        await answer(send, b"{}", status=503 if state["unwell"] else 200)
    elif path == "/unwell":
        state["unwell"] = not state["unwell"]
        await answer(send, b"{}")
    elif path == "/state":
        await answer(send, json.dumps(state).encode())
    elif path == "/refuse":
        await answer(send, b'{"detail": "too large"}', status=413)
    elif path == "/never":
        await watch(receive, asyncio.sleep(600))
    elif path.endswith("/queue/data"):
        await stream(send)
        await say(send, b'data: {"msg":"estimation","event_id":"abc"}\n\n')
        await watch(receive, asyncio.sleep(600))
    elif path == "/flood":
        await stream(send)
        await watch(receive, flood(send))
    elif path == "/steps":
        await stream(send)
        for _ in range(3):
            await say(send, b"data: tick\n\n")
            await GO.acquire()
        await send({"type": "http.response.body", "body": b""})
    elif path == "/go":
        GO.release()
        await echo(scope, receive, send)
    elif path == "/ticks":
        await stream(send)
        for _ in range(3):
            await say(send, b"data: tick\n\n")
            await asyncio.sleep(0.4)
        await send({"type": "http.response.body", "body": b""})
    else:
        await echo(scope, receive, send)


async def echo(scope, receive, send):
    digest, length, more = hashlib.sha256(), 0, True
    while more:
        message = await receive()
        digest.update(message.get("body", b""))
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    told = {
        "name": NAME,
        "method": scope["method"],
        "target": (scope["raw_path"] + b"?" + scope["query_string"]).decode(),
        "headers": [(key.decode(), value.decode()) for key, value in scope["headers"]],
        "length": length,
        "digest": digest.hexdigest(),
    }
    more_headers = [(b"connection", b"close, x-secret"), (b"x-secret", b"of this connection")]
    if "/mcp" in scope["path"]:
        more_headers.append((b"mcp-session-id", NAME.encode() + b"-1"))
    await answer(send, json.dumps(told).encode(), more=more_headers)


async def answer(send, body, status=200, kind="application/json", more=()):
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def stream(send):
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def say(send, body):
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def flood(send):
    while True:
        await say(send, b"x" * 65_536)
        state["produced"] += 65_536
        await asyncio.sleep(0)  # sending alone lets nobody else in while the line takes all


async def watch(receive, work):
    """Work until the visitor leaves."""
    working = asyncio.ensure_future(work)
    state["begun"] += 1
    while (await receive())["type"] != "http.disconnect":
        pass
    state["left"] += 1
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", lifespan="off")
