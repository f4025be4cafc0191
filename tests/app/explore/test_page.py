"""What the Explore page answers: neighbours, trail, map and table, from a tiny model and a tiny gallery."""

import csv
import dataclasses
import io
import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from urllib.parse import parse_qsl

import pytest
import torch

from app.explore.bench import ExploreBench
from app.explore.map import map_html
from app.explore.page import ExplorePage
from app.explore.shelf import Demo, Shelf
from app.explore.state import ExploreState, Step
from app.explore.table import neighbours_csv
from app.server import build_app
from app.work.models import Models
from avsl_core.errors import GalleryError, ImageError
from avsl_core.gallery import BuildOptions, Gallery, build_gallery
from avsl_core.search.fast import build_fast

STATE, MESSAGE, QUERY, TRAIL, RESULTS, MARKS, GALLERY, METHOD, CLASSES, MODE, MAP, QUICK = range(12)
START = ExploreState("demo", (Step(row=0),))


@pytest.fixture
def gallery(index):
    return Gallery.open(index)


class TestOpening:
    def test_the_demo_is_open_with_its_first_query_answered(self, explore):
        shown = explore.open(None)
        assert shown[MESSAGE] == ""
        assert shown[STATE] == START
        assert len(cards(shown)) == 12
        assert shown[GALLERY]["value"] == "demo"
        assert shown[CLASSES]["choices"] == ["a", "b", "c"]
        assert shown[MAP].count("M") >= 15
        assert not shown[MODE]["visible"]

    def test_where_the_model_has_too_much_to_do_that_is_said_once(self, explore):
        turnstile = explore.bench.open(START).bench.turnstile
        turnstile.slots, turnstile.waiting, turnstile.patience_s = 1, 0, 0
        with turnstile.turn(), ThreadPoolExecutor(1) as other:
            opened = other.submit(explore.open, None).result()
            picked = other.submit(explore.on_row, START, 3).result()
            chosen = other.submit(explore.on_classes, START, ["b"]).result()
        assert [shown[MESSAGE].count("Too many people") for shown in (opened, picked, chosen)] == [1] * 3
        # The menus are there to try again with, and what was chosen in one stays chosen.
        assert (opened[STATE], opened[GALLERY]["value"], opened[RESULTS]) == (START, "demo", "")
        assert chosen[STATE].classes == ("b",)
        assert explore.on_row(START, 3)[MESSAGE] == ""

    def test_where_the_model_has_too_much_to_do_the_same_choice_can_be_tried_again(self, explore):
        turnstile = explore.bench.open(START).bench.turnstile
        turnstile.slots, turnstile.waiting, turnstile.patience_s = 1, 0, 0
        with turnstile.turn(), ThreadPoolExecutor(1) as other:
            opened = other.submit(explore.open, None).result()
            chosen = other.submit(explore.on_classes, START, ["b"]).result()
        assert all("data-again>Try again</button>" in shown[MESSAGE] for shown in (opened, chosen))
        shown = explore.on_again(chosen[STATE])
        assert (shown[MESSAGE], shown[STATE].classes) == ("", ("b",))
        assert len(cards(shown)) == 5

    def test_a_choice_of_one_level_is_called_by_the_level(self, explore):
        choices = explore.open(None)[QUICK]["choices"]
        assert [words for words, _ in choices] == [
            "All levels",
            "Only level 1",
            "Only level 2",
            "Only level 3",
        ]

    def test_every_level_has_a_slider_with_its_place_in_the_network(self, explore):
        sliders = explore.open(None)[QUICK + 1 :]
        assert [s["visible"] for s in sliders] == [True] * 3 + [False] * 3
        assert sliders[1]["label"] == "Level 2, half-way up the network"

    def test_an_address_opens_its_view(self, explore):
        state = ExploreState("demo", (Step(row=2), Step(row=9)), (0.0, 1.0, 0.5), ("a", "c"), 5)
        shown = explore.open(state)
        assert shown[STATE] == state
        assert len(cards(shown)) == 5
        assert shown[CLASSES]["value"] == ["a", "c"]
        assert [slider["value"] for slider in shown[QUICK + 1 : QUICK + 4]] == [0.0, 1.0, 0.5]

    def test_what_nobody_thought_of_leaves_the_page_usable(self, explore, shelf, index):
        shutil.copytree(index, shelf.folder / "broken")
        shelf.open("broken").searcher.exact = None
        shown = explore.open(ExploreState("broken"))
        assert "failed on our side" in shown[MESSAGE]
        assert shown[STATE] == START

    def test_an_unknown_gallery_says_so_and_another_one_opens(self, explore):
        shown = explore.open(ExploreState("../secret"))
        assert "no such gallery" in shown[MESSAGE]
        assert shown[STATE] == START

    def test_what_an_address_names_in_vain_is_left_out(self, explore):
        odd = ExploreState("demo", (Step(row=999), Step(upload="0" * 32)), (1.0,), ("z",), mode="fast")
        assert explore.open(odd)[STATE] == START

    def test_without_any_gallery_the_page_says_what_to_do(self, checkpoint, desk, tmp_path):
        page = ExplorePage(ExploreBench(Shelf(Models(checkpoint), tmp_path / "none", None)), desk)
        assert "build one" in page.open(None)[MESSAGE]

    def test_a_demo_of_another_model_is_built_anew_before_the_page_opens(
        self, plain_checkpoint, collection, index, tmp_path, desk
    ):
        shelf = Shelf(Models(plain_checkpoint), tmp_path, Demo(plain_checkpoint, "Demo", index, collection))
        page = ExplorePage(ExploreBench(shelf), type(desk)(shelf, desk.limits))
        request = type("Request", (), {"query_params": {}})()
        told = list(page.on_rebuild(request))
        assert "made anew" in told[0][0]
        shown = page.on_open(request)
        assert len(cards(shown)) == 12


class TestNeighbours:
    def test_cards_are_the_models_own_order(self, explore, shelf, gallery):
        shown = explore.on_row(START, 7)
        measure = shelf.open("demo").searcher.measure
        query = gallery.gather(torch.tensor([7]))
        distances = measure.distances(query, gallery.read(0, 15))
        order = [row for row in distances.argsort().tolist() if row != 7]
        assert cards(shown) == order[:12]
        printed = [float(v) for v in re.findall(r'<strong data-value="([^"]+)"', shown[RESULTS])]
        assert printed == pytest.approx([float(distances[row]) for row in order[:12]], rel=1e-5)

    def test_the_same_class_is_marked_and_counted(self, explore, gallery):
        shown = explore.on_row(START, 7)
        same = sum(gallery.item(row).class_name == "b" for row in cards(shown))
        assert shown[RESULTS].count("✓ same class") == same
        assert f"with {same} of the 4 others of its class" in shown[RESULTS]

    def test_it_says_what_the_search_took(self, explore):
        shown = explore.on_row(START, 7)
        assert re.search(r"The 12 nearest of 14 pictures", shown[RESULTS])
        assert re.search(r"Searched in \d+ ms: measured", shown[RESULTS])

    def test_every_level_has_a_bar_and_one_level_decided(self, explore):
        html = explore.on_row(START, 7)[RESULTS]
        assert html.count('<span class="bar') == 12 * 4  # three levels, and what holds them
        assert html.count('"bar decided"') == 12
        assert len(re.findall(r"Level \d decided<", html)) == 12
        assert len(re.findall(r'role="img" aria-label="Level 1 [\d.]+, \d+ percent of a typical', html)) == 12

    def test_every_picture_and_link_has_words(self, explore):
        shown = explore.on_step(explore.on_row(explore.on_row(START, 7)[STATE], 8)[STATE], 1)
        html = shown[QUERY] + shown[TRAIL] + shown[RESULTS]
        assert html.count("<img") == html.count('<img src="data:image/webp;base64,')
        assert html.count("<img") == len(re.findall(r'<img [^>]*alt="', html))
        assert len(re.findall(r'class="pick"[^>]*aria-label="Neighbour \d+: [^"]{10,}"', html)) == 12

    def test_more_are_shown_on_request_until_there_are_no_more(self, explore):
        shown = explore.on_more(START)
        assert len(cards(shown)) == 14
        assert "data-more" not in shown[RESULTS]

    def test_cards_link_to_the_comparison_with_the_query(self, explore):
        shown = explore.on_row(START, 7)
        assert f"./?gallery=demo&amp;a=7&amp;b={cards(shown)[0]}" in shown[RESULTS]

    def test_names_from_outside_are_escaped(self, checkpoint, collection, tmp_path, desk):
        evil = tmp_path / "pictures" / "<b onclick=alert(1)>&quot;{{value}}"
        shutil.copytree(collection / "a", evil)
        shelf = Shelf(Models(checkpoint), tmp_path / "g", Demo(checkpoint, "D", tmp_path / "no", evil.parent))
        shelf.build_demo()
        shown = ExplorePage(ExploreBench(shelf), desk).open(None)
        html = "".join(shown[part] for part in (QUERY, TRAIL, RESULTS, MARKS, MAP))
        assert "<b onclick" not in html
        assert "&lt;b onclick" in html


class TestTrail:
    def test_a_neighbour_becomes_the_query_and_the_way_back_is_kept(self, explore):
        first = explore.open(None)
        assert first[TRAIL] == ""
        second = explore.on_row(first[STATE], cards(first)[0])
        assert second[STATE].trail == (Step(row=0), Step(row=cards(first)[0]))
        assert 'data-step="0"' in second[TRAIL]
        back = explore.on_step(second[STATE], 0)
        assert (back[STATE], back[TRAIL]) == (START, "")
        assert cards(back) == cards(first)

    @pytest.mark.parametrize("row", [-1, 15, 10**9])
    def test_a_row_that_is_not_there_leaves_the_page_as_it_is(self, explore, row):
        state, message, *rest = explore.on_row(START, row)
        assert "load the page again" in message
        assert all(len(update) == 1 for update in (state, *rest))

    def test_surprises_are_drawn_from_the_chosen_classes(self, explore, gallery):
        state = START.with_classes(["c"])
        rows = [explore.on_surprise(state)[STATE].query.row for _ in range(6)]
        assert len(set(rows)) > 1
        assert {gallery.item(row).class_name for row in rows} == {"c"}

    def test_a_forgotten_state_starts_anew(self, explore):
        assert explore.on_row(None, 4)[STATE].query == Step(row=4)

    def test_one_visitors_way_is_not_anothers(self, explore):
        explore.on_row(START, 7)
        assert explore.open(None)[STATE] == START


class TestChoosing:
    def test_only_chosen_classes_are_found(self, explore, gallery):
        shown = explore.on_classes(START, ["b"])
        assert [gallery.item(row).class_name for row in cards(shown)] == ["b"] * 5
        assert "The 5 nearest of 5 pictures" in shown[RESULTS]
        own = explore.on_classes(START, ["a"])
        assert "The 4 nearest of 4 pictures" in own[RESULTS]
        assert len(cards(explore.on_classes(shown[STATE], []))) == 12

    @pytest.mark.parametrize("classes", [[], ["b"]])
    def test_a_menu_of_classes_that_is_left_as_it_was_changes_nothing(self, explore, classes):
        state = START if not classes else explore.on_classes(START, classes)[STATE]
        assert all(update == {"__type__": "update"} for update in explore.on_classes(state, classes))

    def test_a_filter_that_leaves_nothing_says_so(self, checkpoint, collection, tmp_path, desk):
        pictures = tmp_path / "pictures"
        shutil.copytree(collection / "a", pictures / "a")
        (pictures / "b").mkdir()
        shutil.copy(collection / "b" / "0.png", pictures / "b")
        shelf = Shelf(Models(checkpoint), tmp_path / "g", Demo(checkpoint, "D", tmp_path / "no", pictures))
        shelf.build_demo()
        page = ExplorePage(ExploreBench(shelf), desk)
        shown = page.on_classes(ExploreState("demo", (Step(row=5),)), ["b"])
        assert "no other picture of these classes" in shown[RESULTS]

    def test_one_level_alone_orders_by_that_level(self, explore, shelf, gallery):
        shown = explore.on_quick(START, "1")
        measure = shelf.open("demo").searcher.measure
        parts = measure.part_distances(gallery.gather(torch.tensor([0])), gallery.read(0, 15))
        assert cards(shown) == [row for row in parts[:, 1].argsort().tolist() if row != 0][:12]
        assert shown[STATE].weights == (0, 1, 0)
        assert shown[MARKS + 1 :] == [0.0, 1.0, 0.0, 1.0, 1.0, 1.0]
        assert "weighted" in shown[RESULTS]

    def test_sliders_order_anew_and_the_quick_choice_follows(self, explore):
        shown = explore.on_weights(START, 2.0, 0.5, 0.0, 1, 1, 1)
        assert shown[STATE].weights == (2.0, 0.5, 0.0)
        assert shown[-1] is None
        assert explore.on_weights(START, 0, 0, 1, 1, 1, 1)[-1] == "2"
        assert explore.on_weights(START, 1, 1, 1, 1, 1, 1)[-1] == "all"

    def test_the_distance_shown_stays_the_models_own_when_levels_are_weighted(self, explore):
        plain = dict(zip(cards(explore.open(None)), distances(explore.open(None)), strict=True))
        weighted = explore.on_weights(START, 2.0, 0.0, 0.5, 1, 1, 1)
        for row, distance in zip(cards(weighted), distances(weighted), strict=True):
            assert distance == pytest.approx(plain.get(row, distance), rel=1e-5)

    def test_when_no_level_counts_the_page_says_so_and_stays(self, explore):
        shown = explore.on_weights(START, 0, 0, 0, 1, 1, 1)
        assert "nothing counts" in shown[MESSAGE]
        assert shown[STATE].weights == (0, 0, 0)
        assert len(shown[RESULTS]) == 1  # left as it is

    def test_all_levels_again_is_the_distance_itself(self, explore):
        state = explore.on_quick(START, "0")[STATE]
        assert explore.on_quick(state, "all")[STATE] == START

    def test_an_address_in_which_nothing_counts_opens_with_plain_weights(self, explore):
        shown = explore.open(ExploreState("demo", (Step(row=0),), (0.0, 0.0, 0.0)))
        assert len(cards(shown)) == 12
        assert shown[STATE].weights == ()


class TestFast:
    def test_a_fast_index_is_offered_with_its_measured_recall(self, explore, shelf, index, checkpoint):
        own = shelf.folder / "fast one"
        shutil.copytree(index, own)
        assert not explore.on_gallery(START, "fast one")[MODE]["visible"]
        build_fast(Gallery.open(own), checkpoint.model.measure())
        shown = explore.on_gallery(START, "fast one")
        (_, exact), (words, fast) = shown[MODE]["choices"]
        assert (exact, fast, shown[MODE]["value"]) == ("exact", "fast", "exact")
        assert re.search(r"finds [\d.]+\s% of the nearest", words)
        quick = explore.on_mode(shown[STATE], "fast")
        assert "chosen by the fast index" in quick[RESULTS]
        assert cards(quick) == cards(shown)  # so few that none is overlooked


class TestUploads:
    def test_an_upload_is_searched_for_and_may_be_gone_back_to(self, explore, payload):
        shown = explore.on_upload(START, payload("one.png"))
        assert shown[STATE].query.upload
        assert "one.png" in shown[QUERY]
        assert "not in the gallery" in shown[QUERY]
        assert "same class" not in shown[RESULTS]
        later = explore.on_row(shown[STATE], 3)
        assert cards(explore.on_step(later[STATE], 1)) == cards(shown)

    def test_a_picture_of_the_gallery_finds_itself(self, explore, collection):
        shown = explore.on_upload(START, str(collection / "b" / "2.png"))
        assert cards(shown)[0] == 7
        assert distances(shown)[0] == pytest.approx(0, abs=1e-5)

    def test_a_format_that_browsers_do_not_show_is_shown(self, explore, payload):
        assert 'src="data:image/webp;base64,' in explore.on_upload(START, payload("scan.tif"))[QUERY]

    def test_a_broken_picture_is_named_and_the_page_stays(self, explore, payload):
        state, message, *rest = explore.on_upload(START, payload("broken.jpg"))
        assert "<strong>broken.jpg</strong>" in message
        assert all(len(update) == 1 for update in (state, *rest))

    def test_a_picture_that_is_no_longer_kept_leads_back_to_the_gallery(self, explore):
        gone = ExploreState("demo", (Step(row=3), Step(upload="f" * 32)))
        assert explore.on_more(gone)[STATE].trail == (Step(row=3),)


class TestChanges:
    """The gallery, its folder or its pictures change while pages show them."""

    @pytest.fixture
    def pictures(self, checkpoint, collection, shelf, tmp_path):
        folder = tmp_path / "pictures"
        shutil.copytree(collection, folder)
        build_gallery(checkpoint, folder, shelf.folder / "mine")
        return folder

    @pytest.fixture
    def change(self, checkpoint, pictures, shelf):
        def change():
            (pictures / "a" / "0.png").unlink()
            build_gallery(checkpoint, pictures, shelf.folder / "mine", options=BuildOptions(prune=True))

        return change

    def test_a_page_of_the_gallery_as_it_was_says_so_and_stays(self, explore, change):
        state = explore.open(ExploreState("mine", (Step(row=3),)))[STATE]
        change()
        for shown in (explore.on_more(state), explore.on_row(state, 4), explore.on_quick(state, "0")):
            assert "has changed" in shown[MESSAGE]
            assert len(shown[RESULTS]) == 1

    def test_a_dot_of_an_older_map_is_not_taken_for_another_picture(self, explore):
        generation = explore.bench.shelf.open("demo").gallery.generation
        assert f'data-generation="{generation}"' in explore.open(None)[MAP]
        assert cards(explore.on_row(START, 4, generation))
        assert "has changed" in explore.on_row(START, 4, "000000-ab")[MESSAGE]

    def test_an_address_of_the_gallery_as_it_was_opens_it_anew(self, explore, change):
        state = explore.open(ExploreState("mine", (Step(row=3), Step(row=9))))[STATE]
        change()
        shown = explore.open(state)
        assert "has changed" in shown[MESSAGE]
        assert len(shown[STATE].trail) == 1
        assert shown[STATE].generation != state.generation
        assert explore.open(shown[STATE])[MESSAGE] == ""

    def test_links_name_the_state_of_the_gallery(self, explore):
        shown = explore.open(None)
        generation = shown[STATE].generation
        assert f"g={generation}" in re.search(r'class="compare" href="([^"]+)"', shown[RESULTS]).group(1)
        assert f"g={generation}" in re.search(r'data-link="([^"]+)"', shown[RESULTS]).group(1)
        with pytest.raises(GalleryError, match="has changed"):
            explore.bench.pair("demo", "0", "7", "000000-ab")

    def test_a_file_that_was_overwritten_is_not_shown_for_what_it_was(self, explore, pictures):
        (pictures / "a" / "0.png").write_bytes((pictures / "c" / "4.png").read_bytes())
        found = explore.bench.find(ExploreState("mine", (Step(row=0),)))
        assert found.query.large == explore.bench.thumbnail(found.open, 0)
        with pytest.raises(GalleryError, match=r"^0\.png: has changed since"):
            explore.bench.pair("mine", "0", "7")

    def test_a_file_that_was_moved_is_no_lost_upload(self, explore, pictures):
        (pictures / "a" / "0.png").unlink()
        with pytest.raises(GalleryError, match=r"^0\.png: is no longer where the gallery found it"):
            explore.bench.pair("mine", "0", "7")

    def test_a_change_in_the_middle_of_an_answer_is_answered_from_the_new_state(
        self, checkpoint, pictures, shelf
    ):
        class Racing(Shelf):
            """A build ends between opening the gallery and reading it."""

            def open(self, key, method=""):
                opened = super().open(key, method)
                if (pictures / "a").is_dir():
                    shutil.rmtree(pictures / "a")
                    shutil.rmtree(pictures / "b")
                    target = self.folder / "mine"
                    build_gallery(checkpoint, pictures, target, options=BuildOptions(prune=True))
                return opened

        racing = Racing(shelf.models, shelf.folder, None)
        found = ExploreBench(racing).find(ExploreState("mine"))
        assert found.result.searched == 4

    def test_a_thumbnail_may_come_back(self, explore, pictures):
        opened = explore.bench.shelf.open("mine")
        file = opened.gallery.thumbnail(0)
        data = file.read_bytes()
        file.unlink()
        assert explore.bench.thumbnail(opened, 0) == ""
        file.write_bytes(data)
        assert explore.bench.thumbnail(opened, 0).startswith("data:")

    def test_damage_is_told_without_saying_where(self, explore, pictures, shelf):
        explore.open(ExploreState("mine"))
        for file in (shelf.folder / "mine").glob("segments/*/items*"):
            file.unlink()
        shown = explore.on_row(ExploreState("mine", (Step(row=0),)), 5)
        assert "mine" in shown[MESSAGE]
        assert str(shelf.folder) not in shown[MESSAGE]


class TestNames:
    """Names of files come from outside, and need not be UTF-8."""

    @pytest.fixture
    def odd(self, checkpoint, collection, shelf, tmp_path):
        folder = tmp_path / "pictures"
        shutil.copytree(collection, folder)
        latin = os.fsdecode(b"caf\xe9\nbar")
        (folder / "a").rename(folder / latin)
        (folder / latin / "0.png").rename(folder / latin / os.fsdecode(b"\xe9.png"))
        build_gallery(checkpoint, folder, shelf.folder / "odd")

    def test_every_answer_can_be_sent(self, explore, odd):
        shown = explore.open(ExploreState("odd"))
        later = explore.on_row(shown[STATE], 14)
        chosen = explore.on_classes(later[STATE], [shown[CLASSES]["choices"][2]])
        for answer in (shown, later, chosen):
            json.dumps(answer[MESSAGE:], ensure_ascii=False).encode()
            assert cards(answer)
        assert "caf\\udce9" in later[QUERY]
        assert "\\udce9.png" in later[QUERY]

    def test_a_class_is_chosen_by_the_name_that_is_shown(self, explore, odd):
        (name,) = [name for name in explore.open(ExploreState("odd"))[CLASSES]["choices"] if "caf" in name]
        shown = explore.on_classes(ExploreState("odd", (Step(row=0),)), [name])
        assert len(cards(shown)) == 5
        state = ExploreState.from_link(dict(parse_qsl(shown[STATE].link())))
        assert state == shown[STATE]

    def test_the_map_knows_every_class_by_its_number(self, explore, odd):
        names = json.loads(
            unescape(re.search(r'data-names="([^"]+)"', explore.open(ExploreState("odd"))[MAP]).group(1))
        )
        assert len(names) == 3
        assert sum("\n" in name for name in names) == 1


class TestMap:
    def test_the_query_its_neighbours_and_its_class_are_marked(self, explore):
        shown = explore.on_row(START, 7)
        assert shown[MARKS].count("<circle") == 12
        assert re.search(r'class="kin" d="(M\d+ \d+h0){5}"', shown[MARKS])

    def test_every_dot_knows_its_row_and_class(self, explore):
        points = re.search(r'data-points="([^"]+)"', explore.open(None)[MAP]).group(1).split(";")
        rows = [[int(v) for v in point.split(",")] for point in points]
        assert [row for row, *_ in rows] == list(range(15))
        assert [code for *_, code in rows] == [0] * 5 + [1] * 5 + [2] * 5
        assert all(0 <= place <= 1000 for _, x, y, _ in rows for place in (x, y))

    def test_of_a_large_gallery_a_choice_is_drawn_the_same_every_time(self, shelf):
        drawn = map_html(shelf.open("demo"), most=6)
        assert drawn == map_html(shelf.open("demo"), most=6)
        assert len(re.search(r'data-points="([^"]+)"', drawn).group(1).split(";")) == 6
        assert "6 of 15 are drawn" in drawn

    def test_an_upload_lies_among_its_neighbours(self, explore, payload):
        shown = explore.on_upload(START, payload("one.png"))
        assert "place is estimated" in shown[MARKS]


class TestTable:
    def test_the_table_holds_what_is_shown(self, explore):
        shown = explore.on_weights(START, 1, 0.5, 1, 1, 1, 1)
        text = unescape(re.search(r'data-csv="([^"]+)"', shown[RESULTS]).group(1))
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [int(row["rank"]) for row in rows] == list(range(1, 13))
        assert [float(row["distance"]) for row in rows] == pytest.approx(distances(shown), abs=1e-6)
        first = rows[0]
        parts = [float(first[f"level{i}"]) for i in (1, 2, 3)]
        weights = [float(first[f"weight_level{i}"]) for i in (1, 2, 3)]
        assert weights == [1, 0.5, 1]
        assert sum(parts) == pytest.approx(float(first["distance"]), abs=1e-5)
        score = sum(p * w for p, w in zip(parts, weights, strict=True))
        assert score == pytest.approx(float(first["score"]), abs=1e-5)
        assert first["decided_by"] in ("level1", "level2", "level3")

    @pytest.mark.parametrize("name", ['=1+1,"x"', "+a", "-b\nc", "@d", "é, ü"])
    def test_no_name_becomes_a_formula_or_breaks_the_table(self, explore, name):
        found = explore.bench.find(START)
        hit = found.result.hits[0]
        odd = dataclasses.replace(hit, item=dataclasses.replace(hit.item, name=name, class_name=name))
        found = dataclasses.replace(found, result=dataclasses.replace(found.result, hits=(odd,)))
        row = next(csv.DictReader(io.StringIO(neighbours_csv(found), newline="")))
        assert row["name"] == row["class"] == (name if name[0] == "é" else f"'{name}")


class TestLinks:
    def test_a_link_names_pictures_of_known_galleries_only(self, explore, collection):
        pair = explore.bench.pair("demo", "0", "7")
        assert (pair.a.path, pair.b.path) == (collection / "a" / "0.png", collection / "b" / "2.png")
        for gallery, a, b in (("demo", "0", "15"), ("demo", "../x", "1"), ("demo", "", "1"), ("x", "0", "1")):
            with pytest.raises(GalleryError):
                explore.bench.pair(gallery, a, b)
        with pytest.raises(ImageError):
            explore.bench.pair("demo", f"u{'0' * 32}", "1")


def test_a_distance_of_one_part_has_nothing_to_decide_or_to_weigh(new_embedding, collection, tmp_path, desk):
    from avsl_core.checkpoint import Checkpoint
    from avsl_core.images import Preprocess

    single = Checkpoint(new_embedding(levels=(4,)), Preprocess(size=64, resize=64))
    shelf = Shelf(Models(single), tmp_path, Demo(single, "D", tmp_path / "no", collection))
    shelf.build_demo()
    shown = ExplorePage(ExploreBench(shelf), desk).open(None)
    assert " decided<" not in shown[RESULTS]
    assert not any(slider["visible"] for slider in shown[QUICK + 1 :])


def test_the_app_has_the_page(checkpoint):
    assert "explore" in [page[0] for page in build_app(checkpoint).pages]


def cards(shown):
    return [int(row) for row in re.findall(r'<li data-row="(\d+)"', shown[RESULTS])]


def distances(shown):
    return [float(value) for value in re.findall(r'<strong data-value="([^"]+)"', shown[RESULTS])]
