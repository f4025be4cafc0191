import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from app.front.backends import read_address
from app.front.events import RESTARTED
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
ECHO = Path(__file__).with_name("echo_server.py")
PATIENCE_S = 120


class Place:
    """A front before two echo servers, "one" and "two"."""

    def __init__(self, start, *flags, health_timeout=10):
        self.echoes, self.urls = {}, {}
        for name in ("one", "two"):
            port = free_port()
            self.urls[name] = f"http://127.0.0.1:{port}"
            self.echoes[name] = start(str(ECHO), str(port), name)
        port = free_port()
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        backends = [part for url in self.urls.values() for part in ("--backend", url)]
        flags = ["--port", str(port), "--health-timeout", str(health_timeout), *flags]
        self.front = start("-m", "app.front", *backends, *flags)
        until(lambda: well(self.url) == 2)

    def visitor(self, **options):
        return httpx.Client(base_url=self.url, timeout=PATIENCE_S, trust_env=False, **options)

    def newcomer_at(self, name):
        """A visitor whose first page came from a server."""
        for _ in range(4):
            visitor = self.visitor(headers={"accept": "text/html"})
            if f"page of {name}" in visitor.get("/").text:
                return visitor
        pytest.fail(f"four newcomers, and none of them came to {name}")

    def kill(self, name):
        """End a server, and wait until nobody answers in its place."""
        self.echoes[name].kill()
        self.echoes[name].wait(timeout=PATIENCE_S)

    def at_rest(self):
        """Whether the front has done with all that was asked so far."""
        return httpx.get(f"{self.url}/healthz", timeout=PATIENCE_S, trust_env=False).json()["open"] == 0

    def state(self, name):
        return httpx.get(f"{self.urls[name]}/state", timeout=PATIENCE_S, trust_env=False).json()


@contextmanager
def places():
    processes = []

    def start(*command):
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        processes.append(process)
        return process

    try:
        yield lambda *flags, **options: Place(start, *flags, **options)
    finally:
        for process in processes:
            process.kill()
            process.wait(timeout=PATIENCE_S)
            process.stderr.close()


@pytest.fixture(scope="module")
def place():
    """For tests that harm nothing."""
    with places() as make:
        yield make()


@pytest.fixture(scope="module")
def strict_place():
    """Small limits, and a proxy before it that cuts nothing off the path."""
    with places() as make:
        flags = ["--trusted-proxy", "127.0.0.0/8", "--root-path", "/avsl"]
        yield make(*flags, "--max-open", "2", "--max-upload-mb", "1")


@pytest.fixture
def own_place():
    """Makes one for a test alone."""
    with places() as make:
        yield make


def test_newcomers_are_shared_out_and_each_stays_with_one_server(place):
    seen = []
    for _ in range(4):
        visitor = place.visitor()
        first = visitor.get("/").text
        asked = [visitor.post("/gradio_api/queue/join", json={}), visitor.get("/gradio_api/file=/tmp/a.png")]
        asked += [visitor.post("/gradio_api/upload", content=b"x"), visitor.get("/explore")]
        names = {answer.json()["name"] for answer in asked}
        assert len(names) == 1
        assert f"page of {names.copy().pop()}" in first
        seen.append(names.pop())
    assert sorted(seen) == ["one", "one", "two", "two"]


def test_the_cookie_is_opaque_and_out_of_reach_of_scripts(place):
    header = place.visitor().get("/").headers["set-cookie"]
    assert re.fullmatch(r"avsl_server=[0-9a-f]{8}\.[0-9a-f]{32}; Path=/; HttpOnly; SameSite=Lax", header)


@pytest.mark.parametrize("forged", ["x", "00000000." + "0" * 32, '"; drop', "a" * 5000])
def test_a_forged_cookie_is_served_all_the_same(place, forged):
    answer = place.visitor(headers={"cookie": f"avsl_server={forged}"}).get("/explore")
    assert answer.json()["name"] in ("one", "two")


def test_a_program_without_cookies_stays_with_one_server(place):
    posts = [place.visitor().post("/gradio_api/call/compare", json={}) for _ in range(4)]
    assert len({post.json()["name"] for post in posts}) == 1
    assert not any("set-cookie" in post.headers for post in posts)


def test_a_session_of_mcp_stays_where_it_began(place):
    opened = place.visitor().post("/gradio_api/mcp/", json={})
    session = opened.headers["mcp-session-id"]
    for _ in range(3):
        again = place.visitor().post("/gradio_api/mcp/", json={}, headers={"mcp-session-id": session})
        assert again.json()["name"] == opened.json()["name"]


def test_stateless_requests_go_where_least_is_going_on(place):
    visitor = place.newcomer_at("one")
    with visitor.stream("GET", "/gradio_api/queue/data"), visitor.stream("GET", "/gradio_api/queue/data"):
        names = {place.visitor().get("/api/v1/models").json()["name"] for _ in range(4)}
    assert names == {"two"}


def test_headers_of_one_connection_stay_there(place):
    answer = place.visitor().get(
        "/explore", headers={"connection": "x-mine", "x-mine": "1", "te": "trailers", "x-kept": "2"}
    )
    reached = dict(answer.json()["headers"])
    assert reached["x-kept"] == "2"
    assert not {"x-mine", "te"} & set(reached)
    assert "x-secret" not in answer.headers


def test_who_the_visitor_is_says_the_front_alone(place):
    lies = {"x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https", "x-forwarded-host": "evil.example"}
    lies |= {"forwarded": "for=1.2.3.4", "x-real-ip": "1.2.3.4", "host": "pictures.example"}
    reached = place.visitor().get("/explore", headers=lies).json()["headers"]
    about = [(name, value) for name, value in reached if "forward" in name or name in ("x-real-ip", "host")]
    assert sorted(about) == [
        ("host", "pictures.example"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "pictures.example"),
        ("x-forwarded-proto", "http"),
    ]


def test_a_trusted_proxy_says_who_the_visitor_is(strict_place):
    answer = strict_place.visitor().get(
        "/avsl/config", headers={"x-forwarded-for": "9.9.9.9, 1.2.3.4", "x-forwarded-proto": "https"}
    )
    reached = dict(answer.json()["headers"])
    assert (reached["x-forwarded-for"], reached["x-forwarded-proto"]) == ("1.2.3.4", "https")
    assert answer.headers["set-cookie"].endswith("; Secure")


def test_other_cookies_are_passed_on_and_ours_is_not(place):
    visitor = place.newcomer_at("two")
    ours = visitor.cookies["avsl_server"]
    reached = dict(
        place.visitor().get("/explore", headers={"cookie": f"a=1; avsl_server={ours}; b=2"}).json()["headers"]
    )
    assert reached["cookie"] == "a=1; b=2"


@pytest.mark.parametrize(
    "target", ["/a%2Fb//c/../d?x=%20&y", "//evil.example/x?", "/gradio_api/file=http://e/x?"]
)
def test_an_address_reaches_the_server_letter_by_letter(place, target):
    assert raw(place.port, f"GET {target} HTTP/1.1")["target"] == target


@pytest.mark.parametrize("target", ["http://evil.example/x", "evil.example:80"])
def test_the_front_is_no_proxy_to_elsewhere(place, target):
    assert raw(place.port, f"GET {target} HTTP/1.1")["detail"].startswith("The address has no path.")


def test_a_stream_arrives_piece_by_piece(place):
    visitor = place.newcomer_at("one")
    with visitor.stream("GET", "/steps") as answer:
        pieces = answer.iter_raw()
        for _ in range(3):
            assert b"tick" in next(pieces)
            visitor.get("/go")  # only then does the next one start
        assert b"tick" not in b"".join(pieces)


def test_an_upload_arrives_whole(place):
    data = os.urandom(20_000_000)
    known = place.visitor().post("/gradio_api/upload", content=data).json()
    chunked = place.visitor().post("/gradio_api/upload", content=iter([data[:7], data[7:]])).json()
    assert known["digest"] == chunked["digest"] == hashlib.sha256(data).hexdigest()


def test_a_refusal_before_the_end_of_the_upload_reaches_the_visitor(place):
    for _ in range(5):
        answer = place.visitor().post("/refuse", content=b"x" * 5_000_000)
        assert (answer.status_code, answer.json()) == (413, {"detail": "too large"})


def test_more_than_is_allowed_is_refused_before_it_is_sent(strict_place):
    visitor = strict_place.newcomer_at("one")
    for content in (b"x" * 2_000_000, iter([b"x" * 1_000_000] * 2)):
        answer = visitor.post("/gradio_api/upload", content=content)
        assert (answer.status_code, answer.text) == (413, "More than 1 MB cannot be sent.")
    assert visitor.post("/gradio_api/upload", content=b"x" * 900_000).json()["length"] == 900_000


def test_a_visitor_who_leaves_is_no_longer_worked_for(place):
    visitor = place.newcomer_at("one")
    before = place.state("one")
    cookie = f"avsl_server={visitor.cookies['avsl_server']}"
    with socket.create_connection(("127.0.0.1", place.port), timeout=PATIENCE_S) as leaving:
        leaving.sendall(f"GET /never HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
        until(lambda: place.state("one")["begun"] == before["begun"] + 1)
        assert place.state("one")["left"] == before["left"]
    until(lambda: place.state("one")["left"] == before["left"] + 1)


def test_a_slow_reader_slows_the_server_down(place):
    visitor = place.newcomer_at("one")
    before = place.state("one")["produced"]
    with visitor.stream("GET", "/flood") as answer:
        next(answer.iter_raw())
        time.sleep(1)
        assert place.state("one")["produced"] - before < 30_000_000  # what fits into the lines' own buffers


def test_an_upload_that_stalls_or_is_left_harms_nobody(place):
    with socket.create_connection(("127.0.0.1", place.port)) as half:
        half.sendall(b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        time.sleep(0.2)
    assert place.visitor().post("/gradio_api/upload", content=b"whole").json()["length"] == 5


def test_health_is_told_without_asking_a_server(place):
    told = place.visitor().get("/healthz").json()
    assert told["status"] == "ok"
    assert (told["servers"], told["well"]) == (2, 2)


def test_too_many_requests_at_once_are_refused_in_words(strict_place):
    place = strict_place
    visitor = place.newcomer_at("one")
    until(place.at_rest)
    with visitor.stream("GET", "/gradio_api/queue/data"), visitor.stream("GET", "/gradio_api/queue/data"):
        program = place.visitor().post("/gradio_api/queue/join", json={})
        rest = place.visitor().get("/api/v1/models")
        page = place.visitor(headers={"accept": "text/html"}).get("/")
    for answer in (program, rest, page):
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "3"
    assert "Please try again" in program.json()["detail"]
    assert rest.json()["error"]["code"] == "busy"
    assert page.headers["content-type"].startswith("text/html")
    until(lambda: place.visitor().get("/").status_code == 200)


def test_what_a_killed_server_had_in_hand_is_answered_and_its_visitor_moves(own_place):
    place = own_place()
    visitor = place.newcomer_at("one")
    cookie = visitor.cookies["avsl_server"]
    with visitor.stream("GET", "/gradio_api/queue/data") as events:
        lines = events.iter_lines()
        assert json.loads(next(lines)[5:])["event_id"] == "abc"
        place.kill("one")
        told = [json.loads(line[5:]) for line in lines if line]
    assert (told[0]["msg"], told[0]["event_id"]) == ("process_completed", "abc")
    assert (told[0]["success"], told[0]["output"]["error"]) == (False, RESTARTED)
    assert told[1] == {"msg": "close_stream"}
    # At once, without having waited for any question after the server's health.
    moved = visitor.post("/gradio_api/queue/join", json={})
    assert moved.json()["name"] == "two"
    assert visitor.cookies["avsl_server"].split(".")[1] == cookie.split(".")[1]
    assert visitor.cookies["avsl_server"] != cookie
    until(lambda: well(place.url) == 1)


def test_events_that_were_lost_before_they_were_read_are_told_as_lost(own_place):
    place = own_place()
    visitor = place.newcomer_at("one")
    visitor.post("/gradio_api/queue/join", json={})
    place.kill("one")
    answer = visitor.get("/gradio_api/queue/data")
    told = [json.loads(line[5:]) for line in answer.text.split("\n\n") if line]
    assert [message["msg"] for message in told] == ["unexpected_error", "close_stream"]
    assert (told[0]["message"], told[0]["session_not_found"]) == (RESTARTED, False)
    visitor.post("/gradio_api/queue/join", json={})
    with visitor.stream("GET", "/gradio_api/queue/data") as events:
        assert "estimation" in next(events.iter_lines())


def test_a_stuck_server_is_left_out_and_comes_in_again(own_place):
    place = own_place(health_timeout=2)
    visitor = place.newcomer_at("one")
    old = visitor.cookies["avsl_server"]
    place.echoes["one"].send_signal(signal.SIGSTOP)
    answer = visitor.post("/gradio_api/upload", content=b"x")
    assert answer.status_code == 502
    assert answer.text == "The server stopped while it worked on this. Please try again in a moment."
    assert visitor.get("/explore").json()["name"] == "two"
    place.echoes["one"].send_signal(signal.SIGCONT)
    until(lambda: well(place.url) == 2)
    # The visitor's pictures are with the new server by now; even a program that keeps its first cookie stays.
    assert visitor.get("/explore").json()["name"] == "two"
    kept = place.visitor(headers={"cookie": f"avsl_server={old}"}).get("/explore")
    assert kept.json()["name"] == "two"
    assert place.newcomer_at("one")


def test_an_unwell_server_gets_no_new_visitors_and_keeps_what_it_has(own_place):
    place = own_place()
    visitor = place.newcomer_at("one")
    with visitor.stream("GET", "/ticks") as answer:
        httpx.get(f"{place.urls['one']}/unwell", timeout=PATIENCE_S, trust_env=False)
        ticks = sum(chunk.count(b"tick") for chunk in answer.iter_raw())
    assert ticks == 3
    until(lambda: place.visitor().get("/healthz").json()["status"] == "degraded")
    assert {place.visitor().get("/explore").json()["name"] for _ in range(4)} == {"two"}


def test_without_any_server_the_visitor_reads_so(own_place):
    place = own_place()
    for name in place.echoes:
        place.kill(name)
    answer = place.visitor(headers={"accept": "text/html"}).get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert "No server is ready" in answer.text
    until(lambda: well(place.url) == 0)
    assert place.visitor().get("/healthz").status_code == 503


def test_the_front_ends_with_status_0_even_with_pages_open(own_place):
    place = own_place()
    with place.visitor().stream("GET", "/gradio_api/queue/data"):
        place.front.send_signal(signal.SIGTERM)
        assert place.front.wait(timeout=PATIENCE_S) == 0


@pytest.mark.parametrize("address", ["10.0.0.5:7860", "ftp://a", "http://", "http://a/path", "http://a?b"])
def test_what_is_no_address_of_a_server_is_refused(address):
    with pytest.raises(ValueError, match="give the address of a server"):
        read_address(address)


def raw(port, line):
    """The JSON that answers a request written by hand."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        connection.sendall(f"{line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def well(url):
    """How many servers a front finds well; None if it does not answer."""
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/healthz", timeout=PATIENCE_S, trust_env=False).json()["well"]
    return None


def until(holds):
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
