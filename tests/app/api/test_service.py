"""The functions for programs, without a protocol: their values are the library's, to the last bit."""

import dataclasses
import inspect
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from app.api import answers
from app.api.answers import Box, as_json
from app.api.errors import CODES, RequestError, refusal_of
from app.api.service import Service
from app.compare.takeaway import reported, take_away
from app.explore.shelf import Demo, Shelf
from app.server import GalleryOptions, build_parts
from app.work.models import Models
from app.work.turnstile import BusyError, SlowError
from app.work.workbench import PictureFile, Workbench
from avsl_core.comparison import compare, encode_picture
from avsl_core.errors import (
    AvslError,
    CheckpointError,
    ConfigError,
    EncodingError,
    GalleryError,
    ImageError,
)
from avsl_core.explain.region import counterpart, coverage_of
from avsl_core.gallery import Gallery
from avsl_core.many import compare_many
from avsl_core.search.searcher import Searcher
from avsl_core.whatif import what_if

METHODS = ["avsl", "embedding", "diml", "cgd", "raml", "adaptation"]


@pytest.fixture
def pair(files):
    return [PictureFile(files[name], name) for name in ("one.png", "two.jpg")]


@pytest.fixture
def checkpoint_of(api_models):
    return lambda method: api_models.named(f"unsaved-{method}").checkpoint


class TestNames:
    """What is written here may be relied on: a change is a new version."""

    def test_fields_of_every_answer(self):
        names = {
            kind.__name__: [field.name for field in dataclasses.fields(kind)]
            for kind in vars(answers).values()
            if dataclasses.is_dataclass(kind)
        }
        shared = ["model", "method"]
        assert names == {
            "VerdictWords": ["words", "sentence", "grade"],
            "Component": ["name", "title", "gloss", "value", "share", "map_a", "map_b"],
            "Compared": [
                *shared, "a", "b", "distance", "verdict", "components", "residual", "exact", "version",
            ],
            "ComparedMany": [*shared, "names", "distances", "symmetric", "order", "version"],
            "Box": ["x", "y", "width", "height"],
            "RegionAnswer": [
                *shared, "side", "likeness", "share", "distance", "counterpart", "map", "version",
            ],
            "WhatIfAnswer": [
                *shared, "side", "covered", "distance", "painted", "change", "predicted", "attributed",
                "version",
            ],
            "Neighbour": ["rank", "name", "class_name", "distance", "decided_by", "parts"],
            "Searched": ["gallery", *shared, "picture", "neighbours", "searched", "version"],
            "Model": ["name", "method", "title", "shows", "default"],
            "ModelList": ["models", "version"],
            "GalleryEntry": ["key", "title"],
            "GalleryList": ["galleries", "version"],
            "Report": ["name", "media_type", "encoding", "content", "version"],
            "Kept": ["key", "name", "hours", "version"],
            "ErrorDetail": ["code", "message"],
            "ErrorAnswer": ["error"],
        }  # fmt: skip
        assert answers.API_VERSION == "1.0"

    def test_parameters_of_every_function(self):
        names = {
            name: list(inspect.signature(function).parameters)[1:]
            for name, function in vars(Service).items()
            if inspect.isfunction(function) and not name.startswith("_")
        }
        assert names == {
            "models": [],
            "galleries": [],
            "keep_picture": ["picture"],
            "compare": ["a", "b", "model", "maps"],
            "compare_many": ["pictures", "model"],
            "check_count": ["count"],
            "search": ["gallery", "picture", "k"],
            "region": ["a", "b", "box", "side", "model"],
            "what_if": ["a", "b", "side", "regions", "model", "fill"],
            "report": ["a", "b", "model", "kind"],
        }

    def test_codes_of_errors(self):
        assert {code: status for code, (status, _) in CODES.items()} == {
            "missing_field": 400, "invalid_picture": 400, "unknown_address": 404, "unknown_gallery": 404,
            "unknown_picture": 404, "unknown_model": 404, "wrong_verb": 405, "too_large": 413,
            "unreadable_picture": 415, "invalid_request": 422, "unsupported": 422, "too_many_requests": 429,
            "internal_error": 500, "took_too_long": 503, "busy": 503, "unavailable": 503,
        }  # fmt: skip


class TestCompare:
    @pytest.mark.parametrize("method", METHODS)
    def test_is_the_librarys_comparison(self, api_service, checkpoint_of, pair, files, method):
        found = api_service.compare(*pair, f"unsaved-{method}", maps=True)
        wanted = compare(checkpoint_of(method), files["one.png"], files["two.jpg"])
        assert (found.model, found.method, found.a, found.b) == (
            f"unsaved-{method}", method, "one.png", "two.jpg",
        )  # fmt: skip
        assert found.distance == wanted.distance
        assert dataclasses.asdict(found.verdict) == {
            key: getattr(wanted.verdict, key) for key in ("words", "sentence", "grade")
        }
        assert (found.residual, found.exact) == (wanted.explanation.residual, wanted.explanation.exact)
        shares = wanted.explanation.shares()
        assert len(found.components) == len(wanted.explanation.components)
        for mine, its in zip(found.components, wanted.explanation.components, strict=True):
            assert (mine.name, mine.value, mine.share) == (its.name, its.value, shares[its.name])
            assert mine.map_a == its.map_a.tolist()
            assert mine.map_b == its.map_b.tolist()

    def test_a_method_stands_for_its_first_model(self, api_service, pair):
        assert api_service.compare(*pair, "avsl") == api_service.compare(*pair, "unsaved-avsl")

    def test_without_maps_has_none(self, api_service, pair):
        found = api_service.compare(*pair)
        assert found.model == "unsaved-avsl"
        assert all(part.map_a is None and part.map_b is None for part in found.components)

    def test_answers_become_json_without_loss(self, api_service, pair):
        found = as_json(api_service.compare(*pair))
        assert found["distance"] == api_service.compare(*pair).distance
        assert found["version"] == "1.0"


class TestCompareMany:
    @pytest.mark.parametrize("method", METHODS)
    def test_is_the_librarys_comparison(self, api_service, checkpoint_of, files, method):
        pictures = [PictureFile(files[name], name) for name in ("one.png", "two.jpg", "scan.tif")]
        found = api_service.compare_many(pictures, f"unsaved-{method}")
        checkpoint = checkpoint_of(method)
        wanted = compare_many(checkpoint, [encode_picture(checkpoint, file.path) for file in pictures])
        assert found.names == ["one.png", "two.jpg", "scan.tif"]
        assert found.distances == wanted.distances.tolist()
        assert (found.symmetric, found.order) == (wanted.symmetric, list(wanted.order))

    @pytest.mark.parametrize("count", [0, 1, 51])
    def test_takes_two_to_fifty(self, api_service, pair, count):
        with pytest.raises(RequestError, match="give 2 to 50"):
            api_service.compare_many([pair[0]] * count)


class TestSearch:
    def test_is_the_librarys_search(self, api_service, checkpoint, index, pair, files):
        found = api_service.search("demo", pair[0], 4)
        wanted = Searcher(checkpoint, Gallery.open(index)).search(files["one.png"], 4)
        assert [hit.name for hit in found.neighbours] == [hit.item.name for hit in wanted.hits]
        for rank, (mine, its) in enumerate(zip(found.neighbours, wanted.hits, strict=True), start=1):
            assert (mine.rank, mine.distance, mine.decided_by) == (rank, its.distance, its.decided_by)
            assert (mine.class_name, mine.parts) == (its.item.class_name, dict(its.parts))
        assert (found.gallery, found.searched, found.method) == ("demo", 15, "avsl")

    def test_a_small_gallery_gives_all_it_has(self, api_service, pair):
        assert len(api_service.search("demo", pair[0], 100).neighbours) == 15

    @pytest.mark.parametrize("k", [0, -1, 101])
    def test_refuses_k_out_of_range(self, api_service, pair, k):
        with pytest.raises(RequestError, match="give 1 to 100"):
            api_service.search("demo", pair[0], k)

    @pytest.mark.parametrize("key", ["none", "", "../demo", "/etc", "demo\n"])
    def test_refuses_a_gallery_that_is_not_there(self, api_service, pair, key):
        with pytest.raises(RequestError, match="no such gallery here; there are demo") as refused:
            api_service.search(key, pair[0])
        assert refusal_of(refused.value).code == "unknown_gallery"


class TestRegion:
    @pytest.mark.parametrize("side", ["a", "b"])
    def test_is_the_librarys_counterpart(self, api_service, checkpoint, pair, files, side):
        found = api_service.region(*pair, Box(0.1, 0.2, 0.5, 0.4), side)
        explanation = compare(checkpoint, files["one.png"], files["two.jpg"]).explanation
        grid = explanation.likeness.grid_a if side == "a" else explanation.likeness.grid_b
        wanted = counterpart(explanation, coverage_of(grid, 0.1, 0.2, 0.5, 0.4), side)
        assert (found.likeness, found.share, found.distance) == (wanted.value, wanted.share, wanted.distance)
        assert found.map == wanted.map.tolist()

    def test_points_at_the_strongest_cell(self, api_service, pair):
        found = api_service.region(*pair, Box(0, 0, 1, 1))
        rows, columns = np.shape(found.map)
        row, column = np.unravel_index(np.argmax(found.map), (rows, columns))
        assert found.counterpart == Box(column / columns, row / rows, 1 / columns, 1 / rows)

    def test_refuses_a_region_that_covers_nothing(self, api_service, pair):
        with pytest.raises(ConfigError, match="covers nothing"):
            api_service.region(*pair, Box(0.5, 0.5, 0, 0.1))


class TestWhatIf:
    @pytest.mark.parametrize("side", ["a", "b"])
    def test_is_the_librarys_measurement(self, api_service, checkpoint, pair, files, side):
        found = api_service.what_if(*pair, side, [Box(0, 0, 0.5, 0.5), Box(0.5, 0.5, 0.25, 0.5)])
        mask = np.zeros((64, 64), dtype=bool)
        mask[:32, :32] = mask[32:, 32:48] = True
        a, b = (encode_picture(checkpoint, files[name]) for name in ("one.png", "two.jpg"))
        wanted = what_if(checkpoint, a, b, side, mask)
        for key in ("distance", "painted", "predicted", "attributed", "change", "covered"):
            assert getattr(found, key) == getattr(wanted, key)

    def test_refuses_to_paint_over_everything(self, api_service, pair):
        with pytest.raises(ConfigError, match="leave something"):
            api_service.what_if(*pair, "a", [Box(0, 0, 1, 1)])


class TestReport:
    @pytest.mark.parametrize("kind, taken", [("html", "report"), ("png", "sheet"), ("json", "record")])
    def test_is_what_the_page_gives_to_take_away(self, api_service, pair, kind, taken):
        found = api_service.report(*pair, "unsaved-cgd", kind)
        bench = api_service.models_here.named("unsaved-cgd")
        account = reported(api_service.models_here, bench, bench.compare(*pair))
        assert found == take_away(taken, [account], ("one.png", "two.jpg"))


class TestLists:
    def test_the_apps_own_model_comes_first(self, api_service):
        found = api_service.models().models
        assert (found[0].name, found[0].method, found[0].default) == ("unsaved-avsl", "avsl", True)
        assert {model.method for model in found} >= set(METHODS)
        assert [model.default for model in found].count(True) == 1

    def test_galleries_by_key_and_title(self, api_service):
        assert [(g.key, g.title) for g in api_service.galleries().galleries] == [("demo", "Collection")]

    def test_refuses_a_model_that_is_not_there(self, api_service, pair):
        with pytest.raises(
            RequestError, match='"owl": no such model here; there are unsaved-avsl'
        ) as refused:
            api_service.compare(*pair, "owl")
        assert refusal_of(refused.value).status == 404


def test_a_kept_picture_is_the_picture(api_service, pair):
    kept = api_service.keep_picture(pair[0])
    file = api_service.keep.get(kept.key)
    assert (file.name, file.read()) == ("one.png", pair[0].read())


def test_eight_at_once_are_answered_as_one_by_one(checkpoint, index, collection, tmp_path, files):
    def answers_of(workers):
        """By a service that has seen nothing yet."""
        models = Models(checkpoint)
        service = Service(models, Shelf(models, tmp_path, Demo(checkpoint, "C", index, collection)))
        pictures = sorted(collection.rglob("*.png"))[:8]
        one = PictureFile(files["one.png"], "one.png")

        def ask(path):
            file = PictureFile(path, path.name)
            return as_json(service.compare(one, file)), as_json(service.search("demo", file, 5))

        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(ask, pictures))

    assert answers_of(8) == answers_of(1)


class TestRefusals:
    @pytest.mark.parametrize(
        "error, code",
        [
            (ImageError("a.jpg: damaged; save it again"), "unreadable_picture"),
            (ConfigError("side: give a or b"), "invalid_request"),
            (EncodingError("needs the maps"), "unsupported"),
            (CheckpointError("cgd: damaged"), "unavailable"),
            (GalleryError("birds: damaged"), "unavailable"),
            (AvslError("anything of ours"), "invalid_request"),
            (SlowError("took longer than 2 minutes"), "took_too_long"),
            (BusyError("Too many people", 7), "busy"),
            (ValueError("secret"), "internal_error"),
        ],
    )
    def test_each_kind_of_error_has_its_code(self, error, code):
        refusal = refusal_of(error)
        assert (refusal.code, refusal.status) == (code, CODES[code][0])

    def test_who_is_sent_away_is_told_when_to_come_back(self):
        assert refusal_of(BusyError("Too many people", 7)).headers == {"Retry-After": "7"}

    @pytest.mark.parametrize(
        "text",
        [
            "/srv/models/cgd.safetensors: damaged",
            "cannot read '/home/me/x.png' (no space)",
            r"C:\models\cgd: damaged",
            "written to /tmp",
            "cannot read `/srv/models/x`",
            "not in a,/srv/models/x",
            "not in </srv/models/x>",
            "damaged:/srv/models/x",
            "file:///srv/x",
            "/api/v1x/secret/x is damaged",
            "/api/v1/../../etc/passwd",
        ],
    )
    def test_no_path_leaves(self, text):
        message = refusal_of(GalleryError(text)).message
        assert message == "This cannot be done right now; try again later, or ask those who run the app."

    def test_fractions_and_names_are_no_paths(self):
        text = 'birds/jay.jpg: 1/2 of "and/or" is http://example.com/x'
        assert refusal_of(ImageError(text)).message == text

    @pytest.mark.parametrize("text", ["see /api/v1/docs", "GET /api/v1: nothing", "10:30/11:30, a,b/c <x/y>"])
    def test_addresses_of_our_own_are_no_paths(self, text):
        assert refusal_of(RequestError("unknown_address", text)).message == text

    def test_nothing_of_an_unforeseen_error_leaves(self):
        try:
            raise OSError(2, "No such file", "/etc/secret")
        except OSError as error:
            refusal = refusal_of(error)
        assert refusal.message == "Answering failed on our side; the log of the app says more."

    def test_a_message_is_one_line_that_can_be_sent(self):
        message = refusal_of(RequestError("invalid_request", "one\ntwo \ud800" + 500 * "x")).message
        assert message.startswith("one two \\ud800xxx")
        assert len(message) == 400


def test_programs_may_send_no_heavier_pictures_than_the_app_takes(checkpoint, tmp_path):
    parts = build_parts(checkpoint, galleries=GalleryOptions(tmp_path), picture_bytes=12345)
    assert parts.service.limits.picture_bytes == 12345


def test_works_on_a_workbench_of_its_own_as_on_a_shared_one(api_service, checkpoint, pair):
    assert api_service.compare(*pair).distance == Workbench(checkpoint).compare(*pair).distance
