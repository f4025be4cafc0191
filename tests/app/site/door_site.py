"""A site with a small app of Gradio, served by a thread, and requests to it as no library would send them."""

import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import gradio as gr
import uvicorn
from fastapi import Request

from app.site.asgi import build_site, upload_folder
from app.work.turnstile import Turnstile
from tests.ports import free_port

SECRET = "the secret that lies beside the uploads"
PICTURE = b"\x89PNG\r\n\x1a\n" + b"not looked at"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict
    body: bytes

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")


class Site:
    """A served site, as its visitors meet it."""

    def __init__(self, port, uploads, turnstile, blocks):
        self.port, self.uploads, self.turnstile, self.blocks = port, uploads, turnstile, blocks
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path, verb="GET", body=b"", headers=None, *, length=None):
        """One request whose path goes out exactly as it is given here."""
        sent = {"Host": f"127.0.0.1:{self.port}", "Connection": "close", **(headers or {})}
        if body or verb == "POST":
            sent["Content-Length"] = str(len(body) if length is None else length)
        lines = [f"{verb} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
        with socket.create_connection(("127.0.0.1", self.port), timeout=120) as connection:
            connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
            with suppress(BrokenPipeError, ConnectionResetError):  # it has refused already
                connection.sendall(body)
            received = b""
            while part := self._received(connection):
                received += part
        head, _, rest = received.partition(b"\r\n\r\n")
        first, *others = head.decode("latin-1").split("\r\n")
        found = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in others}
        return Answer(int(first.split()[1]), found, rest)

    def upload(self, name="bird.png", content=PICTURE, **headers):
        """Upload one file as the pages do."""
        form = (
            b'--line\r\nContent-Disposition: form-data; name="files"; filename="' + name.encode() + b'"\r\n'
            b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n--line--\r\n"
        )
        kind = {"Content-Type": "multipart/form-data; boundary=line"}
        return self.ask("/gradio_api/upload", "POST", form, kind | headers)

    @staticmethod
    def _received(connection):
        try:
            return connection.recv(65536)
        except ConnectionResetError:
            return b""


@contextmanager
def served(settings, folder):
    """Serve a small app; a file with a secret lies beside its uploads."""
    uploads = folder / "uploads"
    (folder / "secret.txt").write_text(SECRET, encoding="utf-8")
    before = os.environ.get("GRADIO_TEMP_DIR")
    upload_folder(uploads)
    with gr.Blocks(analytics_enabled=False) as blocks:
        picture, text = gr.Image(type="filepath"), gr.Textbox()
        gr.Button("Go").click(str, picture, text, preprocess=False, api_visibility="private")
        gr.api(_shout, api_name="shout")
        gr.api(_fail, api_name="fail")
    with blocks.route("Second", "second"):
        gr.HTML("<p>The second page</p>")
    turnstile = Turnstile(work_s=0.05)
    site = build_site(settings, blocks, turnstile=turnstile, doors=_doors)
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            site, port=port, log_level="critical", ws="none", server_header=False, proxy_headers=False
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.started, "the site was not served within a minute"
    try:
        yield Site(port, uploads, turnstile, blocks)
    finally:
        server.should_exit = server.force_exit = True
        thread.join(timeout=60)
        if before is None:
            del os.environ["GRADIO_TEMP_DIR"]
        else:
            os.environ["GRADIO_TEMP_DIR"] = before


def _shout(word: str) -> str:
    return word.upper()


def _fail(word: str) -> str:
    raise RuntimeError(f"a fault at {__file__} of {word}")


def _doors(site):
    @site.post("/own/size")
    async def size(request: Request):
        return len(await request.body())

    @site.get("/own/fault")
    def fault():
        raise RuntimeError(f"a fault at {__file__}")
