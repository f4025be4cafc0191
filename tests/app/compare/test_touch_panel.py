"""The panel in which pictures are touched: what travels to the browser, and what comes back from it."""

import base64
import html
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from app.compare.page import ComparePage
from app.compare.touch_panel import account_json, layers_of, touch_html
from app.compare.what_if import RIGHT_WAY, Painting, read_painting, what_if_html
from app.work.models import Models
from app.work.turnstile import Turnstile
from avsl_core.errors import ConfigError
from avsl_core.explain.heatmap import shared_scale
from avsl_core.explain.region import counterpart, coverage_of
from avsl_core.explain.total import total_maps
from avsl_core.images.paint import FILLS
from avsl_core.whatif import WhatIf, what_if

METHODS = ("avsl", "embedding", "diml", "cgd", "raml", "adaptation")


@pytest.fixture(scope="session")
def checkpoints(checkpoint, plain_checkpoint, other_checkpoints):
    return {"avsl": checkpoint, "embedding": plain_checkpoint, **other_checkpoints}


@pytest.fixture
def account(checkpoints, page, payload):
    """The account of one method, by the method's name."""

    def make(method):
        compare = ComparePage(Models(checkpoints[method]), page.pairs)
        return compare._account(payload("one.png"), payload("two.jpg"), compare.models.names[0])

    return make


def numbers(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


@pytest.mark.parametrize("method", METHODS)
def test_the_maps_that_travel_are_those_of_the_explanation(account, method):
    explanation = account(method).comparison.explanation
    layers = json.loads(account_json(explanation))["layers"]
    for layer, (name, source, parts) in zip(layers, layers_of(explanation), strict=True):
        assert layer["name"] == name
        for side, attribute in (("a", "map_a"), ("b", "map_b")):
            expected = [getattr(source.components[part], attribute) for part in parts]
            for (rows, columns, values), there in zip(layer[side], expected, strict=True):
                assert (rows, columns) == tuple(there.shape)
                assert numbers(values) == pytest.approx(there.flatten().numpy(), abs=1e-6)


def test_everything_has_the_scale_of_its_sum_and_a_part_its_own(account):
    explanation = account("avsl").comparison.explanation
    first, second, *_ = json.loads(account_json(explanation))["layers"]
    part = explanation.components[0]
    assert first["scale"] == pytest.approx(shared_scale(total_maps(explanation)))
    assert second["scale"] == pytest.approx(shared_scale([part.map_a, part.map_b]))


@pytest.mark.parametrize("method", METHODS)
def test_what_is_needed_to_point_is_what_python_points_with(account, method):
    explanation = account(method).comparison.explanation
    sent = json.loads(account_json(explanation, likeness=True))["likeness"]
    rows, columns, lies = sent["a"]
    matrix = numbers(sent["matrix"]).reshape(rows * columns, -1)
    covered = coverage_of((rows, columns), 0.1, 0.2, 0.5, 0.3)
    expected = counterpart(explanation, covered, "a")
    assert covered.flatten() @ matrix == pytest.approx(expected.map.flatten().numpy(), abs=1e-6)
    assert matrix.sum() / sent["common"] == pytest.approx(1, abs=1e-5)
    assert covered.flatten() @ numbers(lies) == pytest.approx(expected.distance, abs=1e-6)
    assert max(rows, columns) <= 16


@pytest.mark.parametrize("method", METHODS)
def test_the_panel_is_light_and_names_every_layer(account, method):
    made = account(method)
    panel = touch_html(made)
    assert len(panel) < 600_000
    names = re.findall(r'name="avsl-layer" value="([^"]+)"', panel)
    assert names == [name for name, _, _ in layers_of(made.comparison.explanation)]
    assert json.loads(html.unescape(re.search('data-account="([^"]+)"', panel)[1]))["likeness"]


def test_comparisons_are_told_apart_by_pictures_and_method(account, page, payload):
    keys = {account("avsl").key, account("cgd").key}
    other = page._account(payload("two.jpg"), payload("one.png"), page.models.names[0])
    assert len(keys | {other.key}) == 3
    assert account("avsl").key in keys


class TestWhatIf:
    @pytest.fixture
    def painting(self, page, payload):
        """What the browser sends for a painted upper left quarter."""
        mask = np.zeros((128, 128), bool)
        mask[:64, :64] = True
        key = page._account(payload("one.png"), payload("two.jpg"), page.models.names[0]).key
        bits = base64.b64encode(np.packbits(mask).tobytes()).decode()
        return {"side": "b", "mask": bits, "fill": "grey", "key": key, "turn": 3}, mask

    def test_measuring_anew_waits_for_its_turn(self, checkpoint, page, payload, painting):
        turnstile = Turnstile(slots=1, waiting=0, patience_s=0)
        busy = ComparePage(Models(checkpoint, turnstile=turnstile), page.pairs)
        given = payload("one.png"), payload("two.jpg"), "", painting[0]
        assert "data-value" in busy.on_measure(*given)
        with turnstile.turn(), ThreadPoolExecutor(1) as other:
            assert "Too many people" in other.submit(busy.on_measure, *given).result()

    @pytest.mark.parametrize("fill", FILLS)
    def test_the_painted_picture_is_measured_anew(self, page, payload, painting, checkpoint, fill):
        data, mask = painting
        answer = page.on_measure(payload("one.png"), payload("two.jpg"), "", data | {"fill": fill})
        comparison = page._comparison(payload("one.png"), payload("two.jpg"), "")
        expected = what_if(checkpoint, comparison.a, comparison.b, "b", mask, fill=fill)
        values = [float(value) for value in re.findall(r'data-value="([^"]+)"', answer)]
        assert values == pytest.approx([expected.painted, expected.distance, expected.predicted], rel=1e-6)
        assert "25\u00a0% of the second picture is painted over" in answer
        assert 'data-turn="3"' in answer

    @pytest.mark.parametrize(
        "wrong",
        [
            {"side": "c"},
            {"fill": "lava"},
            {"mask": "AAAA"},
            {"mask": "!" * 2732},
            {"mask": None},
            {"mask": base64.b64encode(bytes(2049)).decode()},
            {"key": 7},
            {"turn": "x"},
        ],
    )
    def test_what_is_no_painting_is_refused_calmly(self, page, payload, painting, wrong):
        data = painting[0] | wrong
        with pytest.raises(ConfigError, match="did not arrive whole"):
            read_painting(data)
        assert 'role="alert"' in page.on_measure(payload("one.png"), payload("two.jpg"), "", data)

    @pytest.mark.parametrize("data", [None, [], "x", {}])
    def test_anything_else_is_refused_too(self, page, payload, data):
        assert 'role="alert"' in page.on_measure(payload("one.png"), payload("two.jpg"), "", data)

    @pytest.mark.parametrize(
        ("bits", "words"), [(bytes(2048), "Nothing is painted yet"), (b"\xff" * 2048, "whole picture")]
    )
    def test_a_part_is_neither_nothing_nor_everything(self, page, payload, painting, bits, words):
        data = painting[0] | {"mask": base64.b64encode(bits).decode()}
        assert words in page.on_measure(payload("one.png"), payload("two.jpg"), "", data)

    def test_a_painting_of_other_pictures_is_not_measured(self, page, payload, painting):
        answer = page.on_measure(payload("two.jpg"), payload("one.png"), "", painting[0])
        assert "have changed meanwhile" in answer


def found(comparison, painted, predicted):
    mask = np.zeros((128, 128), dtype=bool)
    mask[:64, :64] = True
    return WhatIf(0.5, painted, predicted, 0.1, "b", mask, 0.25, comparison.a)


@pytest.fixture
def comparison(page, payload):
    return page._comparison(payload("one.png"), payload("two.jpg"), "")


SOME = Painting("b", np.zeros((128, 128), dtype=bool), "grey", "1", 1)


class TestForecast:
    def test_what_was_measured_comes_before_what_was_foretold(self, comparison):
        html = what_if_html(found(comparison, 0.7, 0.6), SOME)
        assert html.index("Measured anew, the distance is 0.700") < html.index("Foretold")
        assert html.index("farther apart by 0.200") < html.index("Foretold")

    def test_a_wrong_direction_is_admitted(self, comparison):
        assert "the wrong direction" in what_if_html(found(comparison, 0.7, 0.4), SOME)
        assert "the wrong direction" not in what_if_html(found(comparison, 0.7, 0.6), SOME)

    def test_of_shipped_models_it_says_how_often_the_direction_was_right(self, comparison):
        html = what_if_html(found(comparison, 0.7, 0.6), SOME, "default")
        assert f"{RIGHT_WAY['default']} of 100 had the right direction" in html

    def test_of_other_models_it_only_says_that_forecasts_are_rough(self, comparison):
        html = what_if_html(found(comparison, 0.7, 0.6), SOME, "mine")
        assert "forecasts are rough" in html and "of 100" not in html

    @pytest.mark.parametrize("model", RIGHT_WAY)
    def test_the_figures_are_those_that_were_measured(self, model):
        file = Path(__file__).resolve().parents[3] / "benchmarks" / "results" / "what_if.json"
        measured = json.loads(file.read_text(encoding="utf-8"))["checkpoints"][model]
        kinds = [kind for fill in FILLS for kind in measured[fill].values()]
        regions = sum(kind["regions"] for kind in kinds)
        right = sum(kind["regions"] * kind["formulas"]["emptied"]["sign_agreement"] for kind in kinds)
        assert RIGHT_WAY[model] == round(100 * right / regions)
