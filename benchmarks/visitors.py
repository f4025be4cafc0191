"""Visitors of a running app, for load.py and soak.py.

Each does what a browser does: opens the page, uploads pictures, joins the event and reads its stream.
"""

import hashlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
_PATIENCE_S = 300.0
# What differs between two answers with the same numbers: names of files, and of the process that made them.
_ADDRESSES = re.compile(r"(https?://[^\s\"'<>]+|/gradio_api/file=[^\s\"'<>]+)")


@dataclass(frozen=True)
class Answer:
    """What came of one comparison.

    Attributes:
        seconds: From the first byte of the first upload to the last of the answer.
        kind: "ok", or in words why there is no answer; never empty.
        digest: Of everything in the answer that is drawn or written; empty if there is none.
    """

    seconds: float
    kind: str
    digest: str = ""


class PageVisitor:
    """Someone with the Compare page open.

    Args:
        url: Of the app.
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=_PATIENCE_S, trust_env=False)
        self._client.get("/").raise_for_status()
        config = self._client.get("/config").raise_for_status().json()
        self._session = uuid.uuid4().hex[:11]
        self._parts = {part["id"]: part for part in config["components"]}
        self._event = next(
            event
            for event in config["dependencies"]
            if str(event["api_name"]).startswith("on_pictures")
            and {"picture-a", "picture-b"} <= self._ids(event)
        )

    def __enter__(self) -> "PageVisitor":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def compare(self, a: bytes, b: bytes) -> Answer:
        """Upload two pictures and compare them."""
        began = time.perf_counter()
        try:
            files = {"picture-a": self._upload(a), "picture-b": self._upload(b)}
            body = {"data": [self._value(part, files) for part in self._event["inputs"]]}
            body |= {"fn_index": self._event["id"], "session_hash": self._session, "trigger_id": None}
            joined = self._client.post("/gradio_api/queue/join", json=body)
            _check(joined)
            output = self._read(joined.json()["event_id"])
            kind, digest = "ok", self._digest(output)
        except _RefusedError as refusal:
            kind, digest = str(refusal), ""
        except httpx.TransportError as error:
            kind, digest = f"broken connection: {type(error).__name__}", ""
        return Answer(time.perf_counter() - began, kind, digest)

    def _ids(self, event: dict[str, Any]) -> set[str]:
        return {self._parts[part]["props"].get("elem_id") for part in event["inputs"]}

    def _upload(self, data: bytes) -> dict[str, Any]:
        name = hashlib.blake2b(data, digest_size=8).hexdigest() + ".jpg"
        answer = self._client.post(
            "/gradio_api/upload",
            params={"upload_id": uuid.uuid4().hex[:11]},
            files={"files": (name, data, "image/jpeg")},
        )
        _check(answer)
        about = {"orig_name": name, "size": len(data), "mime_type": "image/jpeg"}
        return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}} | about

    def _value(self, part: int, files: dict[str, Any]) -> Any:
        about = self._parts[part]["props"]
        return files.get(about.get("elem_id"), about.get("value"))

    def _read(self, event: str) -> list[Any]:
        parameters = {"session_hash": self._session}
        with self._client.stream("GET", "/gradio_api/queue/data", params=parameters) as stream:
            if stream.status_code != 200:
                stream.read()
                _check(stream)
            for line in stream.iter_lines():
                message = json.loads(line[5:]) if line.startswith("data:") else {}
                if message.get("msg") == "unexpected_error":
                    raise _RefusedError(f"unexpected error: {message['message']}")
                if message.get("msg") == "process_completed" and message["event_id"] == event:
                    if not message["success"]:
                        raise _RefusedError(f"failed: {message['output'].get('error')}")
                    return message["output"]["data"]
        raise _RefusedError("silent: the stream ended without an answer")

    def _digest(self, output: list[Any]) -> str:
        """Everything that is text; raises if the page says that there is no answer."""
        shown = {}
        for part, value in zip(self._event["outputs"], output, strict=True):
            about = self._parts[part]
            given = value.get("value") if isinstance(value, dict) and "__type__" in value else value
            if about["type"] == "html" and isinstance(given, str):
                shown[about["props"]["elem_id"]] = given
        if shown.get("message", "").strip():
            words = re.sub(r"<[^>]*>", " ", shown["message"])
            raise _RefusedError("said: " + " ".join(words.split())[:100])
        text = _ADDRESSES.sub("", json.dumps(shown, sort_keys=True))
        if "data-value" not in text:
            raise _RefusedError("silent: neither a distance nor a message")
        return hashlib.sha256(text.encode()).hexdigest()


class Program:
    """A program that compares through /api/v1.

    Args:
        url: Of the app.
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=_PATIENCE_S, trust_env=False)

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def compare(self, a: bytes, b: bytes) -> Answer:
        """Send two pictures and read what comes back."""
        began = time.perf_counter()
        files = {"a": ("a.jpg", a, "image/jpeg"), "b": ("b.jpg", b, "image/jpeg")}
        try:
            answer = self._client.post("/api/v1/compare", files=files)
            _check(answer)
            kind, digest = "ok", hashlib.sha256(answer.content).hexdigest()
        except _RefusedError as refusal:
            kind, digest = str(refusal), ""
        except httpx.TransportError as error:
            kind, digest = f"broken connection: {type(error).__name__}", ""
        return Answer(time.perf_counter() - began, kind, digest)


class _RefusedError(Exception):
    """There is no answer, and this is why."""


def _check(answer: httpx.Response) -> None:
    if answer.status_code >= 400:
        try:
            told = answer.json()
            words = str(told.get("detail") or told.get("error"))
        except (ValueError, AttributeError):
            words = answer.text
        raise _RefusedError(f"{answer.status_code}: {words[:100]}")


def draw_picture(seed: int, width: int = 1200, height: int = 900) -> bytes:
    """A JPEG of a photograph's size and weight: soft shapes with grain, another one for every seed."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    grain = rng.integers(-12, 13, (height, width, 1), dtype=np.int16)
    pixels = np.clip(soft + grain, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=88)
    return file.getvalue()


@dataclass(frozen=True)
class Served:
    """A running app.

    Attributes:
        url: Where it is served.
        process: It, or its supervisor.
        uploads: The folder of what visitors upload.
    """

    url: str
    process: "subprocess.Popen[bytes]"
    uploads: Path

    def family(self) -> list[int]:
        """Numbers of the process and of all that it started, and they started."""
        parents = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    parents[int(folder.name)] = int(
                        (folder / "stat").read_text().rpartition(")")[2].split()[1]
                    )
                except OSError:
                    continue
        family = [self.process.pid]
        for member in family:
            family.extend(child for child, parent in parents.items() if parent == member)
        return family

    def workers(self) -> list[int]:
        """Numbers of the workers' processes; of the server itself if it is alone."""
        found = [pid for pid in self.family() if b"app.front.supervisor" in _command(pid)]
        return found or [self.process.pid]

    def memory_mb(self) -> float:
        """Memory that the family holds: resident, and what several share counted for each by its part."""
        return sum(_memory_kb(pid, "Pss") for pid in self.family()) / 1024

    def own_memory_mb(self) -> tuple[float, float]:
        """Of that, what was not read from files: other programs that use the same libraries do not change it.

        Returns:
            The share of the processes that decode pictures, and that of all others.
        """
        shares = [0.0, 0.0]
        for pid in self.family():
            shares[b"decoding/child.py" not in _command(pid)] += _memory_kb(pid, "Pss_Anon") / 1024
        return shares[0], shares[1]

    def kill_worker(self) -> int:
        """End a worker without a warning.

        Returns:
            Its number.
        """
        victim = self.workers()[0]
        os.kill(victim, signal.SIGKILL)
        return victim


@contextmanager
def running_app(checkpoint: str, workers: int, *flags: str) -> Iterator[Served]:
    """The app in processes of its own, answering."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="avsl-load-") as folder:
        uploads = Path(folder) / "uploads"
        command = [sys.executable, "-m", "app", "--checkpoint", checkpoint, "--port", str(port)]
        command += [
            "--workers",
            str(workers),
            "--uploads",
            str(uploads),
            "--galleries",
            f"{folder}/galleries",
        ]
        command += ["--kept", f"{folder}/kept", *flags]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        served = Served(f"http://127.0.0.1:{port}", process, uploads)
        try:
            wait_until_well(served)
            yield served
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait_until_well(served: Served, patience_s: float = 180.0) -> float:
    """Wait until the app, and every worker of it, is well.

    Returns:
        Seconds that it took.
    """
    began = time.perf_counter()
    while time.perf_counter() - began < patience_s:
        if served.process.poll() is not None:
            raise SystemExit(f"error: the app ended with status {served.process.returncode}")
        try:
            told = httpx.get(f"{served.url}/healthz", timeout=5, trust_env=False)
            if told.status_code == 200 and told.json().get("status", "ok") == "ok":
                return time.perf_counter() - began
        except (httpx.TransportError, ValueError):
            pass
        time.sleep(0.1)
    raise SystemExit(f"error: {served.url} was not well within {patience_s:g} seconds")


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _memory_kb(pid: int, kind: str) -> int:
    """Proportional set size, as the kernel calls it: pages that processes share are counted once in all."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{kind}:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
