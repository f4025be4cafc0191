import csv
import io
import json
import os
import re
import time
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.learn.pictures import NAMES
from app.many.bench import SETS, Given, ManyBench, Measured, Reading, set_query
from app.many.figure import cell_colours, dendrogram_svg, odd_ones
from app.many.files import distances_csv, distances_json
from app.many.page import ManyPage
from app.server import build_app
from app.work.keep import Keep, linked_pair
from app.work.models import Models
from app.work.turnstile import BusyError
from app.work.workbench import PictureFile
from avsl_core.comparison import compare
from avsl_core.many import ManyComparison, compare_many


class Visit:
    """What Gradio hands over when a page is opened."""

    def __init__(self, **query):
        self.query_params = query


@pytest.fixture
def many(checkpoint, other_checkpoints, tmp_path):
    """The page with two models: unsaved-avsl, its own, and unsaved-raml."""
    keep = Keep(tmp_path / "kept", hours=3)
    return ManyPage(ManyBench(Models(checkpoint, other_checkpoints["raml"]), keep))


@pytest.fixture
def payloads(collection):
    """payloads(count): that many uploads of different pictures."""
    paths = sorted(collection.glob("*/*.png"))
    return lambda count: [
        {"path": str(path), "orig_name": f"{path.parent.name}{path.name}"} for path in paths[:count]
    ]


def last(answers):
    *_, answer = answers
    status, problems, words, matrix, _, state, _ = answer
    assert status == ""
    return problems, words, matrix, state


def keys_in(state):
    """Of a visitor's own set, as its address names them."""
    return state["set"].split(",")


def values_in(matrix):
    return [float(value) for value in re.findall(r'data-v="([\d.]+)"', matrix)]


def names_in(matrix):
    return re.findall(r'<th scope="row"><img [^>]+><span>([^<]+)</span>', matrix)


def test_the_page_opens_with_the_example_birds(many):
    problems, words, matrix, state = last(many.on_open(Visit()))
    assert problems == ""
    assert state == {"examples": "birds"}
    assert len(SETS[0].pictures) == 8
    assert set(names_in(matrix)) == {NAMES[stem].removeprefix("the ") for stem in SETS[0].pictures}
    assert "Most alike" in words and "Most different" in words and "Odd one out" in words


@pytest.mark.parametrize("one", SETS, ids=lambda one: one.name)
def test_every_example_set_is_complete(many, one):
    assert len(many.bench.example(one.name).files) == len(one.pictures)


def test_cells_hold_the_distances_of_their_pairs(many, payloads, checkpoint):
    _, _, matrix, _ = last(many.on_upload(payloads(4), "unsaved-avsl"))
    given = {payload["orig_name"]: payload["path"] for payload in payloads(4)}
    names = names_in(matrix)
    expected = [compare(checkpoint, given[a], given[b]).distance for a in names for b in names if a != b]
    assert values_in(matrix) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("kind", ["birds", "things"])
def test_the_legend_goes_from_the_closest_to_the_farthest_as_the_cells_print_them(many, kind):
    matrix = last(many.on_open(Visit(examples=kind)))[2]
    closest, farthest = re.search(
        r"<span>closest, ([\d.]+)</span>.*<span>farthest, ([\d.]+)</span>", matrix
    ).groups()
    printed = re.findall(r'data-v="[\d.]+">([\d.]+)<', matrix)
    assert closest == min(printed, key=float)
    assert farthest == max(printed, key=float)


def test_each_cell_can_find_its_two_pictures(many, payloads):
    _, words, matrix, _ = last(many.on_upload(payloads(3), "unsaved-avsl"))
    keys = re.search(r'data-keys="([^"]+)"', matrix).group(1).split(",")
    for key, name in zip(keys, names_in(matrix), strict=True):
        assert many.bench.keep.get(key).name == name
    (first, *_) = re.findall(r'href="\./\?a=(\w+)&amp;b=(\w+)&amp;method=unsaved-avsl"', words)
    pair = linked_pair(many.bench.keep, dict(zip("ab", first, strict=True)))
    assert {file.name for file in pair} <= set(names_in(matrix))


def test_progress_is_told_picture_by_picture(many, payloads):
    answers = list(many.on_upload(payloads(5), "unsaved-avsl"))
    said = [re.search(r"picture (\d) of 5: ([^<]+)<", answer[0]).groups() for answer in answers[:-1]]
    assert said == [(str(n), f"a{n - 1}.png") for n in range(1, 6)]
    assert 'role="status"' in answers[0][0] and "<progress" in answers[0][0]


def test_broken_pictures_are_named_while_the_rest_goes_on(many, payloads, payload):
    problems, _, matrix, state = last(
        many.on_upload([payload("broken.jpg"), *payloads(3), payload("scan.tif")], "unsaved-avsl")
    )
    assert "broken.jpg" in problems and 'role="alert"' in problems
    assert len(keys_in(state)) == 4
    assert "scan.tif" in names_in(matrix)


def test_a_picture_that_is_there_twice_is_compared_once(many, payloads):
    one, two = payloads(2)
    problems, _, _, state = last(many.on_upload([one, two, one], "unsaved-avsl"))
    assert len(keys_in(state)) == 2
    assert "is there twice" in problems


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures_leave_what_was_there_and_say_what_to_do(many, payloads, count):
    *_, answer = many.on_upload(payloads(count), "unsaved-avsl")
    assert "Fewer than two different pictures can be used; choose 2 to 50 pictures" in answer[1]
    assert answer[3] == {"__type__": "update"}


def test_what_stays_on_the_page_is_said_to_be_the_set_before(many, payloads):
    _, _, _, state = last(many.on_upload(payloads(2), "unsaved-avsl"))
    *_, answer = many.on_upload(payloads(1), "unsaved-avsl", state)
    assert "Still shown below: the set before." in answer[1]
    problems, _, _, _ = last(many.on_upload(payloads(3), "unsaved-avsl", state))
    assert problems == ""


def test_where_nothing_was_before_nothing_is_said_to_stay(many, payloads):
    *_, answer = many.on_upload(payloads(1), "unsaved-avsl", {})
    assert "Still shown" not in answer[1]


def test_of_too_many_pictures_the_first_fifty_are_compared(many, tmp_path):
    rng = np.random.default_rng(1)
    uploads = []
    for number in range(52):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
        uploads.append({"path": str(path), "orig_name": f"n{number}.png"})
    problems, _, matrix, state = last(many.on_upload(uploads, "unsaved-avsl"))
    assert "the first 50 are compared" in problems
    assert len(keys_in(state)) == 50
    assert set(names_in(matrix)) == {f"n{n}.png" for n in range(50)}
    assert len(values_in(matrix)) == 50 * 49
    assert len(matrix) < 700_000  # light enough for a phone


def test_the_address_restores_the_set_and_the_method(many, payloads):
    _, words, matrix, state = last(many.on_upload(payloads(3), "unsaved-raml"))
    link = unescape(re.search(r'data-link="([^"]+)"', words).group(1))
    query = dict(part.split("=") for part in link.split("&"))
    assert query == {**state, "method": "unsaved-raml"}
    *_, again = many.on_open(Visit(**query))
    assert (again[3], again[5]) == (matrix, state)
    assert again[6]["value"] == "unsaved-raml"


def test_the_link_of_a_set_says_how_long_it_holds_and_holds_that_long(many, payloads):
    _, _, _, state = last(many.on_upload(payloads(2), "unsaved-avsl"))
    place = many.bench.keep.folder / keys_in(state)[0]
    os.utime(place, (time.time() - 7200, time.time() - 7200))
    html = many.on_link(state, "unsaved-avsl")
    assert f"?set={state['set']}&amp;method=unsaved-avsl" in html
    assert "works for 3 hours" in html
    assert time.time() - place.stat().st_mtime < 60


def test_opening_a_set_or_measuring_it_anew_does_not_keep_it_for_longer(many, payloads):
    _, _, _, state = last(many.on_upload(payloads(2), "unsaved-avsl"))
    place = many.bench.keep.folder / keys_in(state)[0]
    then = time.time() - 7200
    os.utime(place, (then, then))
    for again in (many.on_open(Visit(**state)), many.on_method(state, "unsaved-raml")):
        assert last(again)[3] == state
        assert place.stat().st_mtime == pytest.approx(then)


@pytest.mark.parametrize("name", ["birds", "things"])
def test_an_example_set_has_an_address_and_a_link_that_never_expire(many, name):
    _, words, _, state = last(many._on_example(name)("unsaved-avsl", {}))
    assert f'data-link="examples={name}&amp;method=unsaved-avsl"' in words
    html = many.on_link(state, "unsaved-raml")
    assert f"?examples={name}&amp;method=unsaved-raml" in html
    assert "always works" in html


def test_an_example_set_outlives_what_was_kept_of_it(many):
    _, _, matrix, state = last(many._on_example("things")("unsaved-avsl", {}))
    for path in many.bench.keep.folder.iterdir():
        path.unlink()
    _, _, _, again = last(many.on_method(state, "unsaved-raml"))
    assert again == state == {"examples": "things"}
    assert names_in(last(many.on_open(Visit(**state)))[2]) == names_in(matrix)


def test_before_there_is_a_set_there_is_no_link(many):
    assert "no set of pictures yet" in many.on_link({}, "unsaved-avsl")


def test_addresses_of_sets_carry_any_name_of_a_model():
    query = set_query({"set": "0a,1b"}, "my model & co")
    assert query == "set=0a,1b&method=my+model+%26+co"


def test_a_link_of_which_some_pictures_are_gone_shows_the_others(many, payloads):
    _, _, _, state = last(many.on_upload(payloads(4), "unsaved-avsl"))
    first, second, *others = keys_in(state)
    (many.bench.keep.folder / second).unlink()
    problems, _, _, left = last(many.on_open(Visit(**state)))
    assert "1 of the pictures are no longer kept" in problems
    assert keys_in(left) == [first, *others]


@pytest.mark.parametrize("link", ["0" * 32 + "," + "1" * 32, "../../etc/passwd", "x,y,z", ","])
def test_a_dead_or_damaged_link_is_explained_above_the_examples(many, link):
    problems, _, matrix, _ = last(many.on_open(Visit(set=link)))
    assert 'role="alert"' in problems
    assert "jay" in names_in(matrix)


def test_another_method_measures_the_same_pictures(many, payloads):
    _, _, before, state = last(many.on_upload(payloads(3), "unsaved-avsl"))
    _, _, after, again = last(many.on_method(state, "unsaved-raml"))
    assert again == state
    assert sorted(values_in(after)) != sorted(values_in(before))


def test_a_method_with_two_sides_says_so_and_shows_both_halves(many, payloads):
    _, _, matrix, _ = last(many.on_upload(payloads(3), "unsaved-raml"))
    assert "looks at the two sides differently" in matrix
    a, b, c, d, e, f = values_in(matrix)
    assert (a, b, d) != (c, e, f)


def test_a_method_without_sides_has_equal_halves(many, payloads):
    _, _, matrix, _ = last(many.on_upload(payloads(3), "unsaved-avsl"))
    assert "two sides" not in matrix
    a, b, c, d, e, f = values_in(matrix)
    assert (a, b, d) == (c, e, f)


def test_pictures_that_expired_meanwhile_are_asked_for_again(many):
    *_, answer = many.on_method({"set": f"{'0' * 32},{'1' * 32}"}, "unsaved-avsl")
    assert answer[1].count('role="alert"') == 1
    assert "no longer kept here" in answer[1]
    assert "choose them again" in answer[1]


def test_when_the_model_is_busy_it_says_so_once(many, payloads, monkeypatch):
    def busy(file):
        raise BusyError("the model has too much to do right now; try again in 5 seconds", 5)

    monkeypatch.setattr(many.bench.models.default, "encode", busy)
    *_, answer = many.on_upload(payloads(5), "unsaved-avsl")
    assert answer[1].count("too much to do") == 1


def test_names_are_text_and_nothing_else(many, payloads):
    one, two = payloads(2)
    one["orig_name"] = '/home/me/<script>alert("1")</script>.png'
    _, words, matrix, _ = last(many.on_upload([one, two], "unsaved-avsl"))
    assert "<script" not in words + matrix
    assert "/home/me" not in words + matrix


def test_files_to_take_away_hold_every_distance(many, payloads, checkpoint):
    files = tuple(PictureFile(Path(p["path"]), p["orig_name"]) for p in payloads(4))
    *steps, result = many.bench.measure(Given(files), "unsaved-avsl", [])
    assert [type(step) for step in steps] == [Reading] * 4
    assert isinstance(result, Measured)
    rows = list(csv.reader(io.StringIO(distances_csv(result))))
    order = list(result.many.order)
    assert rows[0] == ["distance", *(result.members[i].name for i in order)]
    table = np.array([[float(cell) for cell in row[1:]] for row in rows[1:]])
    assert np.array_equal(table, result.many.distances[np.ix_(order, order)])
    record = json.loads(distances_json(result))
    assert np.array_equal(np.array(record["distances"]), result.many.distances)
    assert record["names"] == [file.name for file in files]
    assert record["order"] == order


def test_a_spreadsheet_takes_no_name_for_a_formula(many, payloads):
    one, two = payloads(2)
    one["orig_name"] = "=1+1.png"
    _, _, matrix, _ = last(many.on_upload([one, two], "unsaved-avsl"))
    (text,) = re.findall(r'data-name="distances.csv" data-kind="text/csv" data-text="([^"]+)"', matrix)
    assert "'=1+1.png" in unescape(text)


def test_our_own_pictures_keep_their_file_names_in_the_table_to_take_away(many):
    *_, result = many.bench.measure(many.bench.example("things"), "unsaved-avsl", [])
    assert [member.name for member in result.members][:2] == ["apple-red.webp", "apple-green.webp"]
    assert [member.shown for member in result.members][:2] == ["red apple", "green apple"]
    assert "apple-red.webp" in distances_csv(result)


def measured(*rows):
    distances = np.array(rows, dtype=float)
    distances = distances + distances.T
    return ManyComparison(distances, True, np.zeros((len(rows) - 1, 4)), tuple(range(len(rows))))


def test_twins_that_are_equally_far_from_all_others_are_both_odd():
    many = measured(
        [0, 0.1, 9, 9, 9, 9.5],
        [0, 0, 9, 9, 9, 9],
        [0, 0, 0, 1, 1, 1],
        [0] * 4 + [1, 1],
        [0] * 5 + [1],
        [0] * 6,
    )
    assert sorted(odd_ones(many)) == [0, 1]


def test_two_that_are_far_from_each_other_are_no_twins():
    many = measured(
        [0, 9, 5, 5, 5, 5], [0, 0, 5, 5, 5, 5], [0, 0, 0, 1, 1, 1], [0] * 4 + [1, 1], [0] * 5 + [1], [0] * 6
    )
    assert len(odd_ones(many)) == 1


def test_where_half_of_all_are_as_odd_only_the_farthest_is_named():
    many = measured([0, 1, 9, 9.5], [0, 0, 9, 9], [0, 0, 0, 1], [0, 0, 0, 0])
    assert len(odd_ones(many)) == 1


def test_the_tree_has_one_leaf_at_the_middle_of_every_row(checkpoint, pictures):
    encodings = [checkpoint.model.encode(picture[None]) for picture in pictures]
    svg = dendrogram_svg(compare_many(checkpoint, encodings), list("abcdef"))
    ends = sorted({float(y) for y in re.findall(r"M0\.0 ([\d.]+)", svg)} | ends_at_zero(svg))
    assert ends == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]


def ends_at_zero(svg):
    """Heights at which a line comes back to the left edge."""
    return {float(y) for y in re.findall(r"V([\d.]+)H0\.0", svg)}


def test_colours_darken_with_likeness_and_their_text_stands_out():
    light = []
    for step in range(21):
        back, ink = cell_colours(step / 20)
        light.append(luminance(back))
        lighter, darker = sorted([luminance(back), luminance(ink)], reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5
    assert light == sorted(light)
    assert light[-1] > 5 * light[0]


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    values = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_app_has_the_page_where_pictures_can_be_kept(checkpoint, tmp_path):
    assert "many" not in [page[0] for page in build_app(checkpoint).pages]
    assert "many" in [page[0] for page in build_app(checkpoint, keep=Keep(tmp_path)).pages]
