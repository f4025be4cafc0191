"""An event that joins as its page's stream ends is told so only after the page knows of the end."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.site.stream_ends import StreamEnds

HOLD = 0.3


async def gradio(scope, receive, send):
    """What stands behind: a stream that ends, and events that join."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"].endswith("/data"):
        await send({"type": "http.response.body", "body": b'data: {"msg":"close_stream"}', "more_body": True})
        await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})
    else:
        body = (await receive())["body"]
        await send({"type": "http.response.body", "body": body})


async def ask(app, path, body=b"", query=b""):
    """What is answered, and when it was asked and answered, in seconds."""
    parts = [
        {"type": "http.request", "body": body[:3], "more_body": True},
        {"type": "http.request", "body": body[3:], "more_body": False},
    ]
    answered = bytearray()

    async def receive():
        return parts.pop(0)

    async def send(message):
        answered.extend(message.get("body", b""))

    began = time.monotonic()
    await app({"type": "http", "path": f"/gradio_api{path}", "query_string": query}, receive, send)
    return bytes(answered), began, time.monotonic()


def joined(page):
    return json.dumps({"fn_index": 5, "session_hash": page, "data": []}).encode()


def together(*asked, hold=HOLD):
    async def run():
        app = StreamEnds(gradio, hold)
        return [await ask(app, *one) for one in asked]

    # In a thread of its own: a browser test before may have left its loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(run())).result()


def test_an_event_right_after_the_end_of_its_stream_waits_until_the_page_knows():
    stream, event = ("/queue/data", b"", b"session_hash=one"), ("/queue/join", joined("one"))
    (_, began, _), (body, _, ended) = together(stream, event)
    assert body == joined("one")
    assert ended - began >= HOLD  # the stream ended after it began, and the event was held from then on


@pytest.mark.parametrize(
    "before",
    [[("/queue/data", b"", b"session_hash=two")], []],
    ids=["the stream of another page", "no stream"],
)
def test_other_events_do_not_wait(before):
    body, began, ended = together(*before, ("/queue/join", joined("one")), hold=600)[-1]
    assert body == joined("one")
    assert ended - began < 600


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff"])
def test_what_is_no_event_is_passed_on_as_it_is(body):
    assert together(("/queue/join", body))[0][0] == body
