import base64
import ipaddress
import json
import re
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.routing import iter_route_contexts
from gradio_client import Client, handle_file

from app.door.pace import Attempts, Pace
from app.door.refusals import CODES, Refusal
from app.settings import Settings
from tests.app.site.door_site import PICTURE, SECRET, served

PASSWORD = "hunter22 and more"
JSON = {"Content-Type": "application/json"}
PAGE = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    settings = Settings(root_path="/birds", max_upload_mb=1, max_archive_mb=2)
    with served(settings, tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    settings = Settings(password=PASSWORD, trusted_proxies=(), requests_per_minute=0)
    with served(settings, tmp_path_factory.mktemp("locked")) as site:
        yield site


@pytest.fixture
def start(tmp_path):
    """Serve a site with other settings, for one test."""
    running = []

    def run(**options):
        manager = served(Settings(**options), tmp_path)
        running.append(manager)
        return manager.__enter__()

    yield run
    for manager in running:
        manager.__exit__(None, None, None)


def gradio_routes(site):
    """Every address that Gradio registers, with something plausible in each gap, and its verbs."""
    gaps = {"path_or_url:path": "etc/passwd", "url_path:path": "https://x.hf.space/a", "path:path": "a/b.js"}
    for route in iter_route_contexts(site.blocks.app.routes):
        path = re.sub(r"\{([^}]+)\}", lambda gap: gaps.get(gap[1], "abc123"), route.path or "")
        for verb in getattr(route, "methods", None) or ():
            yield verb, path


NEEDED = {
    ("GET", "/"),
    ("GET", "/second"),
    ("GET", "/second/"),
    ("GET", "/config"),
    ("GET", "/config/"),
    ("GET", "/theme.css"),
    ("GET", "/favicon.ico"),
    ("GET", "/robots.txt"),
    ("GET", "/manifest.json"),
    ("GET", "/static/a/b.js"),
    ("GET", "/assets/a/b.js"),
    ("GET", "/gradio_api/theme.css"),
    ("GET", "/gradio_api/info"),
    ("GET", "/gradio_api/info/"),
    ("GET", "/gradio_api/app_id"),
    ("GET", "/gradio_api/app_id/"),
    ("GET", "/gradio_api/heartbeat/abc123"),
    ("GET", "/gradio_api/queue/data"),
    ("GET", "/gradio_api/upload_progress"),
    ("GET", "/gradio_api/call/abc123/abc123"),
    ("GET", "/gradio_api/call/v2/abc123"),  # the same words as call/{name}/{event}
    ("GET", "/gradio_api/call/v2/abc123/abc123"),
    ("POST", "/gradio_api/call/abc123"),
    ("POST", "/gradio_api/call/abc123/"),
    ("POST", "/gradio_api/call/v2/abc123"),
    ("POST", "/gradio_api/call/v2/abc123/"),
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/cancel"),
    ("POST", "/gradio_api/reset"),
    ("POST", "/gradio_api/reset/"),
    ("POST", "/gradio_api/upload"),
}


def test_of_all_addresses_of_gradio_only_those_are_there_that_the_app_needs(site):
    routes = set(gradio_routes(site))
    assert len(routes) > 70
    for verb, path in routes - NEEDED:
        if verb != "HEAD":
            answer = site.ask(path, verb)
            assert answer.status in (404, 405), f"{verb} {path}: {answer.status}"
            assert "detail" in json.loads(answer.body)


@pytest.mark.parametrize(
    "path", ["/", "/second", "/config", "/theme.css", "/gradio_api/info", "/birds/", "/birds/second"]
)
def test_what_the_app_needs_is_there(site, path):
    assert site.ask(path).status == 200


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
@pytest.mark.parametrize("query", ["", "?a=1&b=%C3%A9"])
def test_the_first_page_without_its_slash_leads_to_where_relative_addresses_hold(site, verb, query):
    answer = site.ask(f"/birds{query}", verb)
    assert (answer.status, answer.headers["location"]) == (308, f"/birds/{query}")
    assert site.ask(answer.headers["location"], verb).status == 200


def test_a_site_of_its_own_is_sent_nowhere(locked):
    assert "location" not in locked.ask("/", headers=PAGE).headers


def test_a_stranger_address_is_refused_in_plain_words(site):
    answer = site.ask("/wp-admin", headers=PAGE)
    assert answer.status == 404
    assert "There is nothing at this address" in answer.text


def test_a_refusal_is_a_page_with_a_heading_and_a_way_back(site):
    text = site.ask("/wp-admin", headers=PAGE).text
    assert re.search(r"<main><h1>There is nothing here</h1>", text)
    assert '<a href="/birds/">' in text


def test_a_refusal_is_light_or_dark_as_the_system_is(site):
    text = site.ask("/wp-admin", headers=PAGE).text
    assert ":root { color-scheme: light dark;" in text
    assert "@media (prefers-color-scheme: dark) { :root {" in text


@pytest.mark.parametrize("status", sorted(CODES))
def test_every_refusal_has_a_title_of_its_status(status):
    text = Refusal(status, "Why.").response(as_page=True).body.decode()
    (title,) = re.findall("<title>(.+) · AVSL</title>", text)
    assert f"<h1>{title}</h1>" in text
    assert ("nothing here" in title) == (status == 404)


def test_a_site_of_another_name_has_no_first_page_to_go_back_to():
    assert "<a " not in Refusal(421, "Why.").response(as_page=True).body.decode()


def test_an_upload_is_served_back(site):
    [path] = json.loads(site.upload().body)
    answer = site.ask(f"/gradio_api/file={path}")
    assert (answer.status, answer.body) == (200, PICTURE)


def tricks(secret, upload):
    """Ways to ask for a file beside the uploads, each as it would go over the line."""
    folder, name = upload.rsplit("/", 1)
    ways = [
        secret,
        f"{folder}/../../../secret.txt",
        f"{folder}/../../secret.txt",
        f"/{secret}",
        f"//{secret}",
    ]
    ways += [
        "/etc/passwd",
        "etc/passwd",
        "../secret.txt",
        "....//secret.txt",
        "~/secret.txt",
        "/proc/self/environ",
    ]
    ways += [f"file://{secret}", f"{upload}\0", f"{upload}\0.txt", f"{folder}\\..\\..\\secret.txt", folder]
    ways += ["http://127.0.0.1:1/secret", "https://example.org/", "//example.org/", f"{folder}/./{name}"]
    for way in ways:
        yield quote(way)
        yield quote(way, safe="")
        yield quote(quote(way, safe=""), safe="")
        yield quote(way).replace("..", "%2e%2e")
        yield quote(way).replace("..", ".%2E").replace("/", "%2f")
        yield quote(way).replace("..", "%252e%252e")
        yield quote(way).replace("..", "%c0%ae%c0%ae").replace("/", "%c0%af")
    for way in (f"/gradio_api/file={folder}/", "/static/", "/assets/", "/theme.css/", "/gradio_api/file/"):
        for up in ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "..;/", "%252e%252e%252f"):
            yield f"{way}{up * 12}{secret.lstrip('/')}"


def test_no_trick_reaches_a_file_that_was_not_uploaded(site):
    secret = str(site.uploads.parent / "secret.txt")
    [upload] = json.loads(site.upload().body)
    asked = 0
    for trick in tricks(secret, upload):
        for path in (
            {trick}
            if trick.startswith("/gradio")
            else {trick, f"/gradio_api/file={trick}", f"/static/{trick}"}
        ):
            if " " in path or not path.startswith("/"):
                continue
            answer = site.ask(path)
            asked += 1
            assert answer.status in (400, 404), f"{path}: {answer.status}"
            assert SECRET not in answer.text
    assert asked > 300


def test_a_link_among_the_uploads_leads_nowhere(site):
    [upload] = json.loads(site.upload(content=PICTURE + b"link").body)
    link = Path(upload).parent / "link.txt"
    link.symlink_to(site.uploads.parent / "secret.txt")
    assert site.ask(f"/gradio_api/file={link}").status == 404


@pytest.mark.parametrize(
    "path",
    [
        "{secret}",
        "http://127.0.0.1:{port}/own/fault",
        "https://example.org/a.png",
        "{uploads}/../secret.txt",
        "\0",
    ],
)
@pytest.mark.parametrize(
    "address", ["/gradio_api/queue/join", "/gradio_api/call/shout", "/gradio_api/call/v2/shout"]
)
def test_a_request_cannot_name_a_file_that_was_not_uploaded(site, path, address):
    path = path.format(secret=site.uploads.parent / "secret.txt", port=site.port, uploads=site.uploads)
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    body = {"data": [[{"deep": file}]], "fn_index": 0, "session_hash": "s", "word": file}
    answer = site.ask(address, "POST", json.dumps(body).encode(), JSON)
    assert answer.status == 403
    assert "was not uploaded here" in json.loads(answer.body)["detail"]


def test_a_body_that_is_no_json_is_refused(site):
    assert site.ask("/gradio_api/queue/join", "POST", b"{" * 100_000, JSON).status == 400


def test_every_answer_tells_browsers_what_they_may_do(site):
    for path, verb in [
        ("/", "GET"),
        ("/nowhere", "GET"),
        ("/healthz", "GET"),
        ("/own/fault", "GET"),
        ("/", "POST"),
    ]:
        headers = site.ask(path, verb).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "object-src 'none'" in policy
        assert "frame-ancestors 'self'" in policy
        assert "http" not in policy  # nothing is loaded from, or sent to, another host
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "camera=(self)" in headers["permissions-policy"]
        assert "microphone=()" in headers["permissions-policy"]
        assert "server" not in headers


@pytest.mark.parametrize(
    ("name", "content"),
    [("page.html", b"<script>alert(1)</script>"), ("drawing.svg", b"<svg><script>alert(1)</script></svg>")],
)
def test_an_upload_never_runs(site, name, content):
    [path] = json.loads(site.upload(name, content).body)
    headers = site.ask(f"/gradio_api/file={path}").headers
    assert headers["content-disposition"].startswith("attachment")
    assert headers["content-type"] == "application/octet-stream"
    assert headers["x-content-type-options"] == "nosniff"
    assert re.search(r"default-src 'none'.*; sandbox$", headers["content-security-policy"])


def test_a_part_of_a_file_is_not_given_since_gradio_would_repeat_the_request_in_its_headers(site):
    [path] = json.loads(site.upload().body)
    answer = site.ask(f"/gradio_api/file={path}", headers={"Range": "bytes=0-3", "X-Echo": "seen"})
    assert (answer.status, answer.body) == (200, PICTURE)
    assert "x-echo" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_site_cannot_act_in_a_visitors_name(site, headers):
    for path in ("/gradio_api/queue/join", "/gradio_api/upload", "/own/size"):
        answer = site.ask(path, "POST", b"{}", JSON | headers)
        assert answer.status == 403
        assert "another site" in json.loads(answer.body)["detail"]


def test_another_site_cannot_read(site):
    for verb in ("GET", "OPTIONS"):
        headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        answer = site.ask("/config", verb, headers=headers)
        assert not any(name.startswith("access-control") for name in answer.headers)


def test_the_sites_own_pages_and_programs_may_act(site):
    own = {"Origin": site.url, "Sec-Fetch-Site": "same-origin"}
    for headers in ({}, own):
        assert site.ask("/own/size", "POST", b"12345", headers).body == b"5"


def test_another_name_is_not_answered_on_a_visitors_own_machine(site):
    answer = site.ask("/", headers={"Host": "rebound.example"})
    assert answer.status == 421
    assert "--allowed-hosts" in answer.text
    assert site.ask("/", headers={"Host": f"localhost:{site.port}"}).status == 200


def test_a_picture_that_is_too_large_is_refused_before_it_is_stored(site):
    before = stored(site)
    answer = site.upload(content=bytes(2**20 + 1))
    assert answer.status == 413
    assert "1 MB" in json.loads(answer.body)["detail"]
    assert stored(site) == before


def test_an_archive_may_be_larger_but_not_without_end(site):
    assert site.upload("many.zip", bytes(3 * 2**19)).status == 200
    before = stored(site)
    assert site.upload("many.zip", bytes(2 * 2**20 + 1)).status == 413
    assert stored(site) == before


def test_a_length_that_is_announced_as_too_much_is_refused_at_once(site):
    for path, most in (("/gradio_api/upload", 8), ("/gradio_api/queue/join", 8), ("/own/size", 8)):
        answer = site.ask(path, "POST", b"x", JSON, length=most * 2**20 + 1)
        assert answer.status == 413


def test_a_body_of_unknown_length_is_counted(site):
    part = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    assert chunked(site, "/own/size", part * 2).endswith(b"131072")
    assert chunked(site, "/own/size", part * 140).startswith(b"HTTP/1.1 413")


def chunked(site, path, body):
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nTransfer-Encoding: chunked\r\n"
    head += "Connection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", site.port), timeout=120) as connection:
        connection.sendall(head.encode())
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(body + b"0\r\n\r\n")
        received = b""
        with suppress(ConnectionResetError):
            while part := connection.recv(4096):
                received += part
        return received


def stored(site):
    return sorted(str(path) for path in site.uploads.rglob("*") if path.is_file())


def test_no_fault_shows_where_it_happened(site):
    answer = site.ask("/own/fault")
    assert answer.status == 500
    assert "This failed on our side" in json.loads(answer.body)["detail"]
    client = Client(site.url, verbose=False)
    with pytest.raises(Exception) as failed:
        client.predict("x", api_name="/fail")
    for text in (answer.text, str(failed.value)):
        assert "Traceback" not in text
        assert str(Path(__file__).parent) not in text


def test_a_program_can_upload_and_call(site, tmp_path):
    picture = tmp_path / "a b (1) ü.png"
    picture.write_bytes(PICTURE)
    client = Client(site.url, verbose=False)
    assert client.predict("quiet", api_name="/shout") == "QUIET"
    assert json.loads(site.upload(picture.name).body)[0].endswith(".png")
    assert handle_file(str(picture))["path"] == str(picture)


def test_health_needs_nothing_and_tells_how_much_waits(site):
    answer = site.ask("/healthz", headers={"Host": "whoever.asks"})
    assert answer.status == 200
    assert json.loads(answer.body) == {"alive": True, "ready": True, "queue": 0, "working": 0, "stuck": 0}


def test_health_says_when_a_piece_of_work_is_stuck(site):
    done = threading.Event()

    def hang():
        with site.turnstile.turn():
            done.wait(120)

    thread = threading.Thread(target=hang)
    thread.start()
    try:
        deadline = time.monotonic() + 120
        while site.ask("/healthz").status != 503:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert json.loads(site.ask("/healthz").body)["stuck"] == 1
    finally:
        done.set()
        thread.join()
    assert site.ask("/healthz").status == 200


@pytest.fixture
def clock(monkeypatch):
    """The time by which the door counts, in seconds; it stands still."""
    now = [1000.0]
    for kind in (Attempts, Pace):
        monkeypatch.setattr(kind.__init__, "__defaults__", (*kind.__init__.__defaults__[:-1], lambda: now[0]))
    return now


def test_who_asks_too_often_is_told_when_to_come_back(start, clock):
    site = start(requests_per_minute=6)
    answers = [site.ask("/", headers=PAGE) for _ in range(8)]
    assert [answer.status for answer in answers] == [200] * 6 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) == 10
    assert "Too many requests from your address" in answers[-1].text
    assert site.ask("/theme.css").status == 200  # part of a page that was counted
    assert site.ask("/healthz").status == 200
    clock[0] += 10
    assert site.ask("/", headers=PAGE).status == 200


def test_visitors_behind_a_trusted_proxy_are_counted_one_by_one(start, clock):
    site = start(requests_per_minute=2, trusted_proxies=(ipaddress.ip_network("127.0.0.1"),))
    for visitor in ("9.9.9.1", "9.9.9.2"):
        headers = {"X-Forwarded-For": f"1.2.3.4, {visitor}", "X-Forwarded-Host": "birds.example"}
        assert [site.ask("/", headers=headers).status for _ in range(3)] == [200, 200, 429]


def test_nobody_can_make_up_an_address_where_no_proxy_is_trusted(start, clock):
    site = start(requests_per_minute=2)
    statuses = [site.ask("/", headers={"X-Forwarded-For": f"9.9.9.{n}"}).status for n in range(3)]
    assert statuses == [200, 200, 429]


def test_only_a_trusted_proxy_says_where_the_site_is(start):
    claims = {"X-Forwarded-Host": "birds.example", "X-Forwarded-Proto": "https"}
    site = start(trusted_proxies=(ipaddress.ip_network("127.0.0.1"),))
    answer = site.ask("/config", headers=claims)
    assert json.loads(answer.body)["root"] == "https://birds.example"
    assert "strict-transport-security" in answer.headers
    origin = {"Origin": "https://birds.example"}
    assert site.ask("/own/size", "POST", b"123", claims | origin).body == b"3"


def test_nobody_else_says_where_the_site_is(site):
    answer = site.ask("/config", headers={"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"})
    assert "evil.example" not in answer.text
    assert json.loads(answer.body)["root"] == f"{site.url}/birds"


def basic(password, user="avsl"):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def log_in(site, password, **headers):
    form = f"username=avsl&password={quote(password)}".encode()
    return site.ask("/login", "POST", form, {"Content-Type": "application/x-www-form-urlencoded", **headers})


def test_without_the_password_nothing_is_there_but_health(locked):
    for path in ("/", "/config", "/theme.css", "/assets/x.js", "/gradio_api/info", "/own/fault", "/nowhere"):
        answer = locked.ask(path)
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert locked.upload().status == 401
    assert locked.ask("/healthz").status == 200


def test_a_browser_gets_a_form_and_then_a_session(locked):
    asked = locked.ask("/", headers=PAGE)
    assert asked.status == 401
    assert 'action="/login"' in asked.text
    assert "www-authenticate" not in asked.headers  # else the browser's own window would cover the form
    entered = log_in(locked, PASSWORD, Origin=locked.url, **PAGE)
    assert (entered.status, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/"))
    assert locked.ask("/", headers=PAGE | {"Cookie": cookie.partition(";")[0]}).status == 200


@pytest.mark.parametrize("cookie", ["avsl_session=", "avsl_session=9999999999.00", "avsl_session=x.y"])
def test_a_session_cannot_be_made_up(locked, cookie):
    assert locked.ask("/", headers={"Cookie": cookie}).status == 401


def test_programs_give_the_password_as_they_are_used_to(locked):
    assert Client(locked.url, auth=("avsl", PASSWORD), verbose=False).predict("a", api_name="/shout") == "A"
    assert Client(locked.url, headers=basic(PASSWORD), verbose=False).predict("b", api_name="/shout") == "B"
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-u", f"avsl:{PASSWORD}", locked.url]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "200"


def test_a_password_cannot_be_guessed_quickly(start, clock):
    site = start(password=PASSWORD, requests_per_minute=0)
    answers = [site.ask("/config", headers=basic(f"guess {n}")) for n in range(4)]
    answers += [log_in(site, f"guess {n}") for n in range(4)]
    assert [answer.status for answer in answers] == [401] * 5 + [429] * 3
    assert int(answers[-1].headers["retry-after"]) == 1
    # Not even the right one, until the pause is over.
    assert site.ask("/config", headers=basic(PASSWORD)).status == 429
    clock[0] += 1
    assert site.ask("/config", headers=basic(PASSWORD)).status == 200


def test_another_site_cannot_log_a_visitor_in(locked):
    assert log_in(locked, PASSWORD, Origin="https://evil.example").status == 403


def test_an_upload_is_deleted_when_its_time_is_over(tmp_path):
    from app.site.sweeper import Sweeper, SweeperOptions

    with served(Settings(), tmp_path) as site:
        [path] = json.loads(site.upload().body)
        sweeper = Sweeper(lambda: [site.uploads], SweeperOptions(0.2, 2**30, every_s=0.05))
        sweeper.start()
        try:
            deadline = time.monotonic() + 120
            while site.ask(f"/gradio_api/file={path}").status == 200:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            sweeper.stop()
        assert site.uploads.is_dir()
        assert site.upload().status == 200
