"""The functions over plain HTTP, through a real server."""

import html
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.api.answers import Box, as_json
from app.api.doors import MCP_PATH
from app.api.errors import RequestError
from app.api.pictures import intake
from app.api.rest import router
from app.api.service import Service
from app.work.models import Models
from app.work.turnstile import Turnstile
from app.work.workbench import PictureFile


@pytest.fixture
def api(api_address):
    with httpx.Client(base_url=f"{api_address}/api/v1", timeout=120) as client:
        yield client


@pytest.fixture
def upload(files):
    """upload("one.png"): as a form sends it."""
    return lambda name: (name, files[name].read_bytes())


@pytest.fixture
def pair(upload):
    return {"a": upload("one.png"), "b": upload("two.jpg")}


@pytest.fixture
def named(files):
    return lambda name: PictureFile(files[name], name)


def refused(response, status, code):
    """Check the one form of all refusals, and give its words."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["avsl-api-version"] == "1.0"
    answer = response.json()
    assert list(answer) == ["error"]
    assert list(answer["error"]) == ["code", "message"]
    assert answer["error"]["code"] == code
    for secret in ("Traceback", "/tmp", "/root", "/home", ".py", "avsl-request-"):
        assert secret not in response.text
    return answer["error"]["message"]


class TestAnswers:
    """Each address answers with what the function answers, number by number."""

    def test_models(self, api, api_service):
        assert api.get("/models").json() == as_json(api_service.models())

    def test_galleries(self, api):
        found = api.get("/galleries").json()
        assert found == {"galleries": [{"key": "demo", "title": "Collection"}], "version": "1.0"}

    @pytest.mark.parametrize("maps", [False, True])
    def test_compare(self, api, api_service, pair, named, maps):
        response = api.post("/compare", files=pair, data={"model": "unsaved-diml", "maps": str(maps).lower()})
        wanted = api_service.compare(named("one.png"), named("two.jpg"), "unsaved-diml", maps=maps)
        assert response.json() == as_json(wanted)
        assert response.headers["avsl-api-version"] == "1.0"

    def test_compare_many(self, api, api_service, upload, named):
        names = ["one.png", "two.jpg", "scan.tif"]
        response = api.post("/compare_many", files=[("pictures", upload(name)) for name in names])
        assert response.json() == as_json(api_service.compare_many([named(name) for name in names]))

    def test_search(self, api, api_service, upload, named):
        response = api.post("/search", files={"picture": upload("one.png")}, data={"gallery": "demo", "k": 3})
        assert response.json() == as_json(api_service.search("demo", named("one.png"), 3))

    def test_region(self, api, api_service, pair, named):
        box = {"x": 0.1, "y": 0.2, "width": 0.3, "height": 0.4}
        response = api.post("/region", files=pair, data=box | {"side": "b"})
        wanted = api_service.region(named("one.png"), named("two.jpg"), Box(**box), "b")
        assert response.json() == as_json(wanted)

    def test_what_if(self, api, api_service, pair, named):
        data = {"side": "a", "regions": "[[0, 0, 0.5, 0.5]]", "fill": "grey"}
        response = api.post("/what_if", files=pair, data=data)
        files = named("one.png"), named("two.jpg")
        wanted = api_service.what_if(*files, "a", [Box(0, 0, 0.5, 0.5)], fill="grey")
        assert response.json() == as_json(wanted)

    @pytest.mark.parametrize(
        "kind, media", [("html", "text/html"), ("png", "image/png"), ("json", "application/json")]
    )
    def test_report(self, api, api_service, pair, named, kind, media):
        response = api.post("/report", files=pair, data={"kind": kind})
        wanted = api_service.report(named("one.png"), named("two.jpg"), kind=kind)
        assert response.content == wanted.data
        assert response.headers["content-type"].startswith(media)
        assert f"one-and-two.{kind}" in response.headers["content-disposition"]

    def test_pictures_are_kept_under_a_key(self, api, api_service, upload):
        found = api.post("/pictures", files={"picture": upload("one.png")}).json()
        assert list(found) == ["key", "name", "hours", "version"]
        assert api_service.keep.get(found["key"]).read() == upload("one.png")[1]

    def test_a_name_is_shown_without_folders_or_tricks(self, api, upload):
        content = upload("one.png")[1]
        files = {"a": ("../../etc/a\u202eb.png", content), "b": ("C:\\x\\two.png", content)}
        found = api.post("/compare", files=files).json()
        assert (found["a"], found["b"]) == ("ab.png", "two.png")


class TestSchema:
    def test_lists_every_address(self, api):
        paths = api.get("/openapi.json").json()["paths"]
        assert {path: list(verbs) for path, verbs in paths.items()} == {
            "/api/v1/models": ["get"],
            "/api/v1/galleries": ["get"],
            "/api/v1/compare": ["post"],
            "/api/v1/compare_many": ["post"],
            "/api/v1/search": ["post"],
            "/api/v1/region": ["post"],
            "/api/v1/what_if": ["post"],
            "/api/v1/report": ["post"],
            "/api/v1/pictures": ["post"],
        }

    def test_names_every_field_of_the_forms(self, api):
        schema = api.get("/openapi.json").json()
        forms = {}
        for path, verbs in schema["paths"].items():
            for content in verbs.get("post", {}).get("requestBody", {}).get("content", {}).values():
                form = schema["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
                forms[path.rpartition("/")[2]] = (list(form["properties"]), form["required"])
        assert forms == {
            "compare": (["a", "b", "model", "maps"], ["a", "b"]),
            "compare_many": (["pictures", "model"], ["pictures"]),
            "search": (["picture", "gallery", "k"], ["picture", "gallery"]),
            "region": (
                ["a", "b", "x", "y", "width", "height", "side", "model"],
                ["a", "b", "x", "y", "width", "height"],
            ),
            "what_if": (["a", "b", "side", "regions", "model", "fill"], ["a", "b", "side", "regions"]),
            "report": (["a", "b", "model", "kind"], ["a", "b"]),
            "pictures": (["picture"], ["picture"]),
        }

    def test_describes_every_field(self, api):
        schema = api.get("/openapi.json").json()["components"]["schemas"]
        bare = [
            f"{kind}.{name}"
            for kind, told in schema.items()
            for name, value in told.get("properties", {}).items()
            if "description" not in value and "$ref" not in value and "$ref" not in value.get("items", {})
        ]
        assert bare == []

    def test_every_answer_carries_its_version(self, api):
        schema = api.get("/openapi.json").json()
        for verbs in schema["paths"].values():
            for told in verbs.values():
                answer = told["responses"]["200"]["content"]["application/json"].get("schema")
                if answer is None:  # a file
                    continue
                answer = answer["$ref"]
                assert "version" in schema["components"]["schemas"][answer.rpartition("/")[2]]["properties"]

    def test_the_page_for_people_tells_of_every_address(self, api):
        response = api.get("/docs")
        assert response.headers["content-type"].startswith("text/html")
        for path in ("compare", "compare_many", "search", "region", "what_if", "pictures", "models"):
            assert f"/api/v1/{path}</code>" in response.text
            assert f'<a href="#{path}">' in response.text
            assert f'<section id="{path}">' in response.text

    def test_the_page_for_people_needs_nothing_from_outside(self, api):
        page = api.get("/docs").text
        assert not re.findall(r"<(?:script|link|img)|@import|url\(", page)
        links = re.findall(r'href="([^"]*)"', page)
        assert links
        assert not [link for link in links if "//" in link]

    def test_the_page_for_people_names_the_address_that_it_was_asked_at(self, api, api_address):
        page = api.get("/docs").text
        assert f"{api_address}/api/v1/compare</pre>" in page
        assert "ADDRESS" not in page
        other = api.get("/docs", headers={"Host": "birds.example"}).text
        assert "http://birds.example/api/v1/compare</pre>" in other

    def test_the_page_for_people_names_the_path_under_which_the_site_is_served(self, api_service):
        site = FastAPI()
        site.include_router(router(api_service, [("", "First"), ("other", "Second")], "/birds"))
        page = TestClient(site, base_url="https://all.example").get("/api/v1/docs").text
        assert 'Client("https://all.example/birds"' in html.unescape(page)
        assert '<a href="../../">First</a><a href="../../other">Second</a>' in page

    def test_the_page_for_people_opens_with_its_tables_closed(self, api):
        page = api.get("/docs").text
        assert page.count("<details>") > 10
        assert "<details open" not in page

    def test_the_commands_of_the_page_for_people_run(self, api, files, tmp_path):
        for name in ("a", "b", "one", "two", "picture"):
            shutil.copy(files["two.jpg"], tmp_path / f"{name}.jpg")
        commands = [code for code in examples(api) if code.startswith("curl")]
        assert len(commands) == 10
        for command in commands:
            shown = subprocess.run(
                ["bash", "-ec", f"{command} --silent --fail"], cwd=tmp_path, capture_output=True, check=False
            )
            assert shown.returncode == 0, command

    def test_the_program_of_the_page_for_people_runs(self, api, files, tmp_path):
        for name in ("one.jpg", "two.jpg"):
            shutil.copy(files["two.jpg"], tmp_path / name)
        (program,) = [code for code in examples(api) if "gradio_client" in code]
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        *_, distance = done.stdout.split()
        assert float(distance) == pytest.approx(0, abs=1e-6)

    def test_the_page_for_people_says_where_the_tools_are(self, api, api_address):
        (settings,) = [json.loads(code) for code in examples(api) if "mcpServers" in code]
        assert settings["mcpServers"]["avsl"]["url"] == f"{api_address}{MCP_PATH}"


def examples(api):
    """What the page for people has to copy."""
    return [html.unescape(code) for code in re.findall(r"<pre[^>]*>(.*?)</pre>", api.get("/docs").text, re.S)]


class TestRefusals:
    def test_no_file(self, api):
        assert refused(api.post("/compare"), 400, "missing_field") == "a: is missing; give it"

    def test_one_file(self, api, pair):
        response = api.post("/compare", files={"a": pair["a"]})
        assert refused(response, 400, "missing_field") == "b: is missing; give it"

    def test_text_in_place_of_a_file(self, api, pair):
        response = api.post("/compare", files={"a": pair["a"]}, data={"b": "/etc/passwd"})
        assert "send the picture as a file" in refused(response, 400, "invalid_picture")

    @pytest.mark.parametrize("content", [b"not a picture", b"", b"\x89PNG\r\n\x1a\n", b"<svg/>", bytes(300)])
    def test_something_that_is_no_picture(self, api, pair, content):
        response = api.post("/compare", files=pair | {"b": ("b.jpg", content)})
        assert refused(response, 415, "unreadable_picture").startswith("b.jpg: ")

    def test_a_damaged_picture(self, api, pair, upload):
        refused(api.post("/compare", files=pair | {"b": upload("broken.jpg")}), 415, "unreadable_picture")

    def test_a_picture_that_is_too_heavy(self, api, pair):
        response = api.post("/compare", files=pair | {"b": ("b.jpg", bytes(2**20 + 1))})
        assert "more than the 1 MB" in refused(response, 413, "too_large")

    def test_a_request_that_is_too_heavy(self, api, pair):
        response = api.post("/compare", files=pair | {"b": ("b.jpg", bytes(5 * 2**20))})
        assert "more than the 4 MB" in refused(response, 413, "too_large")

    def test_a_request_that_does_not_say_how_heavy_it_is(self, api_address):
        """Sent in chunks, without an end: it is refused long before."""
        place = urllib.parse.urlsplit(api_address)
        head = (
            "POST /api/v1/compare HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        )
        part = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n'
        with socket.create_connection((place.hostname, place.port), timeout=120) as line:
            line.sendall(head.encode() + b"%x\r\n%s\r\n" % (len(part), part))
            for _ in range(80):
                try:
                    line.sendall(b"10000\r\n" + bytes(2**16) + b"\r\n")
                except OSError:
                    break
            assert line.recv(2000).startswith(b"HTTP/1.1 413 ")

    @pytest.mark.parametrize("model", ["owl", "../default", "/etc/passwd", "a\nb"])
    def test_a_model_that_is_not_there(self, api, pair, model):
        refused(api.post("/compare", files=pair, data={"model": model}), 404, "unknown_model")

    def test_a_gallery_that_is_not_there(self, api, upload):
        response = api.post("/search", files={"picture": upload("one.png")}, data={"gallery": "../demo"})
        refused(response, 404, "unknown_gallery")

    @pytest.mark.parametrize("k", ["0", "-1", "101", "1e9", "nan", "ten"])
    def test_k_out_of_range(self, api, upload, k):
        data = {"gallery": "demo", "k": k}
        response = api.post("/search", files={"picture": upload("one.png")}, data=data)
        assert refused(response, 422, "invalid_request").startswith("k: ")

    def test_fifty_one_pictures(self, api, upload):
        response = api.post("/compare_many", files=[("pictures", upload("one.png"))] * 51)
        assert refused(response, 422, "invalid_request") == "pictures: 51 given; give 2 to 50"

    def test_one_picture_to_compare_with_one_another(self, api, upload):
        response = api.post("/compare_many", files=[("pictures", upload("one.png"))])
        refused(response, 422, "invalid_request")

    @pytest.mark.parametrize("x", ["nan", "inf", "-0.1", "1.1", "left"])
    def test_a_region_that_is_no_fraction(self, api, pair, x):
        data = {"x": x, "y": 0, "width": 0.5, "height": 0.5}
        assert refused(api.post("/region", files=pair, data=data), 422, "invalid_request").startswith("x: ")

    @pytest.mark.parametrize(
        "regions", ["[[NaN,0,1,1]]", "[]", "[[0,0,1]]", "[[0,0,2,1]]", "no", "{}", "[[0,0,0,0]]", "[" * 5000]
    )
    def test_regions_that_are_none(self, api, pair, regions):
        response = api.post("/what_if", files=pair, data={"side": "a", "regions": regions})
        refused(response, 422, "invalid_request")

    @pytest.mark.parametrize(
        "field, value", [("side", "c"), ("fill", "tar"), ("maps", "perhaps"), ("kind", "pdf")]
    )
    def test_a_choice_that_is_none(self, api, pair, field, value):
        data = {"side": "a", "regions": "[[0,0,0.5,0.5]]"} | {field: value}
        address = {"maps": "/compare", "kind": "/report"}.get(field, "/what_if")
        response = api.post(address, files=pair, data=data)
        assert refused(response, 422, "invalid_request").startswith(f"{field}: ")

    @pytest.mark.parametrize("path", ["/nothing", "/", "/compare/x", "/../../etc/passwd", "/%2e%2e/app"])
    def test_an_address_where_nothing_is(self, api, api_address, path):
        with socket.create_connection(
            (urllib.parse.urlsplit(api_address).netloc.split(":")), timeout=120
        ) as s:
            s.sendall(f"GET /api/v1{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: s.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 404 ")
        error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
        assert error["code"] == "unknown_address"
        assert "/api/v1/docs lists what there is" in error["message"]

    def test_the_wrong_verb(self, api):
        response = api.get("/compare")
        assert refused(response, 405, "wrong_verb") == "GET: use POST here"
        assert response.headers["allow"] == "POST"

    def test_a_body_that_is_no_form(self, api):
        refused(
            api.post("/compare", content=b"{", headers={"content-type": "application/json"}),
            400,
            "missing_field",
        )
        broken = {"content-type": "multipart/form-data; boundary=x"}
        refused(api.post("/compare", content=b"--y\r\nwhat", headers=broken), 422, "invalid_request")


def test_an_unforeseen_error_tells_nothing(api_service, pair):
    class Failing(Service):
        def compare(self, *args, **options):
            raise RuntimeError("/etc/secret at line 3")

    site = FastAPI()
    site.include_router(router(Failing(api_service.models_here, api_service.shelf)))
    response = TestClient(site).post("/api/v1/compare", files=pair)
    assert "failed on our side" in refused(response, 500, "internal_error")


def test_who_comes_while_too_many_wait_is_told_when_to_come_back(checkpoint, api_service, pair):
    turnstile = Turnstile(slots=1, waiting=0)
    site, done, taken = FastAPI(), threading.Event(), threading.Event()
    site.include_router(router(Service(Models(checkpoint, turnstile=turnstile), api_service.shelf)))

    def stay():
        with turnstile.turn():
            taken.set()
            done.wait(120)

    other = threading.Thread(target=stay)
    other.start()
    assert taken.wait(120)
    try:
        response = TestClient(site).post("/api/v1/compare", files=pair)
    finally:
        done.set()
        other.join()
    assert "try again in a moment" in refused(response, 503, "busy")
    assert int(response.headers["retry-after"]) >= 1
    assert TestClient(site).post("/api/v1/compare", files=pair).status_code == 200


def test_eight_at_once_are_answered_as_one_by_one(api, collection):
    pictures = [path.read_bytes() for path in sorted(collection.rglob("*.png"))[:8]]

    def ask(content):
        files = {"a": ("a.png", pictures[0]), "b": ("b.png", content)}
        return api.post("/compare", files=files, data={"maps": "true"}).content

    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(ask, pictures))
    assert at_once == [ask(content) for content in pictures]
    assert len(set(at_once)) == 8


def test_keeps_nothing_of_a_request(api, pair, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # of this process, where the answers are made
    os.utime(tmp_path, (0, 0))  # long ago: the clock of a disk stands still for some milliseconds
    api.post("/compare", files=pair)
    assert tmp_path.stat().st_mtime > 0  # something was there
    assert list(tmp_path.iterdir()) == []


def test_an_upload_may_be_longer_than_it_says(api_service):
    with intake(100) as taking, pytest.raises(RequestError, match="weighs more"):
        taking.stream(io.BytesIO(bytes(101)), "a.png")
