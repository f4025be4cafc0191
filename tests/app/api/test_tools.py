"""The functions as Gradio endpoints and as MCP tools, called by the real clients."""

import asyncio
import base64
import inspect
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from app.api.answers import Box, as_json
from app.api.tools import list_tools
from app.site.own_files import is_upload
from app.work.workbench import PictureFile

PARAMETERS = {
    "models": [],
    "galleries": [],
    "compare": ["a", "b", "model", "maps"],
    "compare_many": ["pictures", "model"],
    "search": ["gallery", "picture", "k"],
    "region": ["a", "b", "x", "y", "width", "height", "side", "model"],
    "what_if": ["a", "b", "side", "regions", "model", "fill"],
    "report": ["a", "b", "model", "kind"],
}
REQUIRED = {
    "compare": ["a", "b"],
    "compare_many": ["pictures"],
    "search": ["gallery", "picture"],
    "region": ["a", "b", "x", "y", "width", "height"],
    "what_if": ["a", "b", "side", "regions"],
    "report": ["a", "b"],
}


@pytest.fixture(scope="module")
def client(api_address):
    return Client(api_address, verbose=False, analytics_enabled=False)


@pytest.fixture
def named(files):
    return lambda name: PictureFile(files[name], name)


@pytest.fixture
def address_of(files):
    """A picture as a data: address."""
    return lambda name: f"data:image/png;base64,{base64.b64encode(files[name].read_bytes()).decode()}"


@pytest.fixture
def listener():
    """A server of the net that nobody may be sent to; it counts who comes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            visits.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    visits = []
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/x.png", visits
    server.shutdown()


def refused(call):
    with pytest.raises(AppError) as refused:
        call()
    error = json.loads(str(refused.value))["error"]
    assert list(error) == ["code", "message"]
    return error["code"]


class TestGradio:
    def test_names_and_parameters(self, client):
        told = client.view_api(return_format="dict", print_info=False)
        assert {
            name: [parameter["parameter_name"] for parameter in endpoint["parameters"]]
            for name, endpoint in told["named_endpoints"].items()
        } == {f"/{name}": parameters for name, parameters in PARAMETERS.items()}
        assert told["unnamed_endpoints"] == {}

    def test_compare(self, client, files, api_service, named):
        found = client.predict(
            handle_file(files["one.png"]), handle_file(files["two.jpg"]), api_name="/compare"
        )
        assert found == as_json(api_service.compare(named("one.png"), named("two.jpg")))

    def test_by_name_with_every_option(self, client, files, api_service, named):
        pair = {"a": handle_file(files["one.png"]), "b": handle_file(files["two.jpg"])}
        found = client.predict(**pair, model="unsaved-raml", maps=True, api_name="/compare")
        files = named("one.png"), named("two.jpg")
        assert found == as_json(api_service.compare(*files, "unsaved-raml", maps=True))

    def test_compare_many(self, client, files, api_service, named):
        names = ["one.png", "two.jpg", "scan.tif"]
        found = client.predict([handle_file(files[name]) for name in names], api_name="/compare_many")
        assert found == as_json(api_service.compare_many([named(name) for name in names]))

    def test_search(self, client, files, api_service, named):
        found = client.predict("demo", handle_file(files["one.png"]), 3, api_name="/search")
        assert found == as_json(api_service.search("demo", named("one.png"), 3))

    def test_region_and_what_if(self, client, files, api_service, named):
        pair = [handle_file(files["one.png"]), handle_file(files["two.jpg"])]
        own = named("one.png"), named("two.jpg")
        found = client.predict(*pair, 0.1, 0.2, 0.3, 0.4, api_name="/region")
        assert found == as_json(api_service.region(*own, Box(0.1, 0.2, 0.3, 0.4)))
        found = client.predict(*pair, "b", [[0, 0, 0.5, 0.5]], api_name="/what_if")
        assert found == as_json(api_service.what_if(*own, "b", [Box(0, 0, 0.5, 0.5)]))

    def test_lists(self, client, api_service):
        assert client.predict(api_name="/models") == as_json(api_service.models())
        assert client.predict(api_name="/galleries") == as_json(api_service.galleries())

    @pytest.mark.parametrize("kind", ["html", "png", "json"])
    def test_report(self, client, files, api_service, named, kind):
        pair = [handle_file(files["one.png"]), handle_file(files["two.jpg"])]
        found = client.predict(*pair, "", kind, api_name="/report")
        wanted = api_service.report(named("one.png"), named("two.jpg"), kind=kind)
        decode = base64.b64decode if found["encoding"] == "base64" else str.encode
        assert decode(found["content"]) == wanted.data
        assert (found["name"], found["media_type"]) == (wanted.name, wanted.type)

    def test_data_addresses(self, client, address_of, api_service, named):
        found = client.predict(address_of("one.png"), address_of("two.jpg"), api_name="/compare")
        assert found["distance"] == api_service.compare(named("one.png"), named("two.jpg")).distance
        assert (found["a"], found["b"]) == ("a.png", "b.png")

    def test_what_cannot_be_answered(self, client, files):
        one, broken = handle_file(files["one.png"]), handle_file(files["broken.jpg"])
        assert refused(lambda: client.predict(one, broken, api_name="/compare")) == "unreadable_picture"
        assert refused(lambda: client.predict(one, one, "owl", api_name="/compare")) == "unknown_model"
        assert refused(lambda: client.predict("x", one, api_name="/search")) == "unknown_gallery"
        assert refused(lambda: client.predict("demo", one, 0, api_name="/search")) == "invalid_request"
        assert refused(lambda: client.predict(["data:x"] * 51, api_name="/compare_many")) == "invalid_request"
        assert refused(lambda: client.predict(one, None, api_name="/compare")) == "missing_field"
        nan = [one, one, "nan", 0, 1, 1]
        assert refused(lambda: client.predict(*nan, api_name="/region")) == "invalid_request"


class TestOwnFiles:
    """A caller cannot make the server read its own files, or fetch from others."""

    @pytest.fixture
    def ask(self, api_address):
        """Send a value as it is, past the client, which would upload it; give the last message."""

        def ask(value, name="compare", fn_index=None):
            body = {"data": value, "session_hash": "s", "fn_index": fn_index}
            with httpx.Client(base_url=f"{api_address}/gradio_api", timeout=120) as http:
                if fn_index is None:
                    event = http.post(f"/call/{name}", json={"data": value}).json()["event_id"]
                    return http.get(f"/call/{name}/{event}").text
                http.post("/queue/join", json=body).raise_for_status()
                return http.get("/queue/data", params={"session_hash": "s"}).text

        return ask

    @pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
    @pytest.mark.parametrize("where", ["here", "/etc/hostname", "http://127.0.0.1:1/x.png"])
    def test_a_path_that_was_not_uploaded(self, ask, files, meta, where):
        path = str(files["one.png"]) if where == "here" else where
        answer = ask([{"path": path, **meta}, {"path": path, **meta}, "", False])
        assert answer.startswith("event: error")
        assert "invalid_picture" in answer
        assert path not in answer

    @pytest.mark.parametrize(
        "value", ["/etc/hostname", "http://127.0.0.1/x.png", "file:///etc/hostname", 7, []]
    )
    def test_text_that_is_no_data_address(self, ask, address_of, value):
        assert "invalid_picture" in ask([address_of("one.png"), value, "", False])

    def test_nobody_is_sent_anywhere(self, ask, listener, address_of):
        address, visits = listener
        for meta in ({}, {"meta": {"_type": "gradio.FileData"}}):
            for payload in ({"path": address, **meta}, {"path": "x", "url": address, **meta}, address):
                assert "invalid_picture" in ask([payload, address_of("one.png"), "", False])
                assert "invalid_picture" in ask([[payload, payload], ""], "compare_many")
        assert visits == []

    @pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
    def test_events_of_pages_take_uploads_only_too(self, ask, files, client, api_address, meta):
        page = len(PARAMETERS)  # the page's event comes after the tools
        for value in ({"path": str(files["one.png"]), **meta}, str(files["one.png"])):
            answer = ask([value], fn_index=page)
            assert "not uploaded here" in answer
            assert str(files["one.png"]) not in answer
        with files["one.png"].open("rb") as picture:
            up = httpx.post(f"{api_address}/gradio_api/upload", files={"files": ("one.png", picture)}).json()
        assert is_upload(up[0])
        assert '"success":true' in ask([{"path": up[0], **meta}], fn_index=page)

    def test_a_link_out_of_the_uploads_is_no_upload(self, api_address, tmp_path):
        up = httpx.post(f"{api_address}/gradio_api/upload", files={"files": ("a.png", b"x")}).json()[0]
        assert is_upload(up)
        assert not is_upload(f"{up}/../../../../etc/hostname")
        assert not is_upload(f"{up}\0")


def test_the_app_itself_shows_these_endpoints_and_no_others(address):
    told = Client(address, verbose=False, analytics_enabled=False).view_api(
        return_format="dict", print_info=False
    )
    assert set(told["named_endpoints"]) == {f"/{name}" for name in PARAMETERS}
    assert told["unnamed_endpoints"] == {}
    assert [tool.name for tool in over_mcp(address)] == list(PARAMETERS)


def over_mcp(address, *calls):
    """Call tools one after the other through a real client; none gives the list of tools."""

    async def run():
        async with (
            streamable_http_client(f"{address}/mcp") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            if not calls:
                return (await session.list_tools()).tools
            return [await session.call_tool(name, arguments) for name, arguments in calls]

    # In a thread of its own: a browser test before may have left its loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(run())).result()


class TestMcp:
    def test_names_parameters_and_answers(self, api_address):
        found = {tool.name: tool for tool in over_mcp(api_address)}
        assert {name: list(tool.inputSchema["properties"]) for name, tool in found.items()} == PARAMETERS
        assert {
            name: tool.inputSchema["required"]
            for name, tool in found.items()
            if "required" in tool.inputSchema
        } == REQUIRED
        assert list(found["compare"].outputSchema["properties"]) == [
            "model", "method", "a", "b", "distance", "verdict", "components", "residual", "exact", "version",
        ]  # fmt: skip

    def test_everything_is_described(self, api_address):
        for tool in over_mcp(api_address):
            assert tool.description.endswith(".")
            assert tool.annotations.readOnlyHint
            assert all(value["description"] for value in tool.inputSchema["properties"].values())

    def test_round_trip(self, api_address, address_of, api_service, named):
        pair = {"a": address_of("one.png"), "b": address_of("two.jpg")}
        region = pair | {"x": 0.1, "y": 0.2, "width": 0.3, "height": 0.4}
        found = over_mcp(
            api_address,
            ("models", {}),
            ("galleries", {}),
            ("compare", pair | {"model": "unsaved-cgd", "maps": True}),
            ("compare_many", {"pictures": list(pair.values())}),
            ("search", {"gallery": "demo", "picture": pair["a"], "k": 3}),
            ("region", region),
            ("what_if", pair | {"side": "a", "regions": [[0, 0, 0.5, 0.5]]}),
        )
        own = [
            PictureFile(named(name).path, f"{side}.png")
            for name, side in (("one.png", "a"), ("two.jpg", "b"))
        ]
        query = PictureFile(own[0].path, "picture.png")
        several = [PictureFile(file.path, f"pictures.{i}.png") for i, file in enumerate(own)]
        wanted = [
            api_service.models(),
            api_service.galleries(),
            api_service.compare(*own, "unsaved-cgd", maps=True),
            api_service.compare_many(several),
            api_service.search("demo", query, 3),
            api_service.region(*own, Box(0.1, 0.2, 0.3, 0.4)),
            api_service.what_if(*own, "a", [Box(0, 0, 0.5, 0.5)]),
        ]
        for mine, its in zip(found, wanted, strict=True):
            assert not mine.isError
            assert mine.structuredContent == as_json(its)
            assert json.loads(mine.content[0].text) == mine.structuredContent

    def test_a_kept_picture_by_its_key(self, api_address, files, api_service, named):
        with files["one.png"].open("rb") as picture:
            kept = httpx.post(f"{api_address}/api/v1/pictures", files={"picture": picture}).json()
        found = over_mcp(api_address, ("compare", {"a": kept["key"], "b": kept["key"]}))[0]
        assert found.structuredContent == as_json(api_service.compare(named("one.png"), named("one.png")))

    @pytest.mark.parametrize(
        "name, arguments, code",
        [
            ("owl", {}, "unknown_address"),
            ("compare", {"a": "/etc/hostname", "b": "/etc/hostname"}, "invalid_picture"),
            ("compare", {"a": "http://127.0.0.1/x", "b": "file:///etc/hostname"}, "invalid_picture"),
            ("compare", {"a": "data:text/html;base64,aGk=", "b": ""}, "invalid_picture"),
            ("compare", {"a": "data:image/png;base64,***", "b": ""}, "invalid_picture"),
            ("compare", {"a": "data:image/png;base64,aGVsbG8=", "b": "data:image/png;base64,aGVsbG8="},
             "unreadable_picture"),
            ("compare", {"a": "f" * 32, "b": "0" * 32}, "unknown_picture"),
            ("compare", {"a": {"path": "/etc/hostname"}, "b": ""}, "invalid_request"),
            ("compare", {}, "missing_field"),
            ("compare", {"a": "", "b": ""}, "missing_field"),
            ("models", {"more": 1}, "invalid_request"),
            ("compare_many", {"pictures": ["x"] * 51}, "invalid_request"),
            ("search", {"gallery": "x", "picture": "", "k": 0}, "invalid_request"),
            ("search", {"gallery": "x", "picture": "", "k": "NaN"}, "invalid_request"),
        ],
    )  # fmt: skip
    def test_refusals_have_the_one_form(self, api_address, name, arguments, code):
        found = over_mcp(api_address, (name, arguments))[0]
        assert found.isError
        answer = json.loads(found.content[0].text)
        assert answer["error"]["code"] == code
        assert "/etc" not in answer["error"]["message"]

    def test_a_picture_that_is_too_heavy(self, api_address, address_of):
        heavy = f"data:image/png;base64,{base64.b64encode(bytes(2**20 + 3)).decode()}"
        found = over_mcp(api_address, ("compare", {"a": heavy, "b": heavy}))[0]
        assert json.loads(found.content[0].text)["error"]["code"] == "too_large"

    @pytest.mark.parametrize("verb", ["GET", "DELETE"])
    def test_no_stream_is_kept_open(self, api_address, verb):
        response = httpx.request(verb, f"{api_address}/mcp", headers={"accept": "text/event-stream"})
        assert (response.status_code, response.headers["allow"]) == (405, "POST")

    def test_eight_at_once_are_answered_as_one_by_one(self, api_address, collection):
        pictures = [
            f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
            for path in sorted(collection.rglob("*.png"))[:8]
        ]

        def ask(picture):
            return over_mcp(api_address, ("compare", {"a": pictures[0], "b": picture}))[0].content[0].text

        with ThreadPoolExecutor(8) as pool:
            at_once = list(pool.map(ask, pictures))
        assert at_once == [ask(picture) for picture in pictures]


def test_tools_are_typed_and_documented(api_service):
    for tool in list_tools(api_service):
        assert inspect.getdoc(tool.function)
        assert list(inspect.signature(tool.function).parameters) == PARAMETERS[tool.name]
