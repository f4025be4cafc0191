import re
from html.parser import HTMLParser

import numpy as np
import pytest

from avsl_core.checkpoint import Checkpoint
from avsl_core.comparison import Comparison, EncodedPicture
from avsl_core.explain.heatmap import draw_signed, shared_scale
from avsl_core.explain.inline import picture_address
from avsl_core.explain.record import ModelPapers
from avsl_core.explain.report import Reported, report_page
from avsl_core.explain.scales import legend, pair_ruler
from avsl_core.explain.total import total_maps
from avsl_core.explain.verdict import PAIRS_NOTE, judge
from avsl_core.images import Preprocess
from avsl_core.metrics import PairDistribution

PAIRS = PairDistribution((0.05, 0.3, 0.6), (0.4, 0.8, 1.6), same_count=40, different_count=400)
ADDRESSES = {"src", "href", "srcset", "action", "data", "poster"}
VOID = {"meta", "img", "br", "input", "link", "hr"}


class Outline(HTMLParser):
    """Whether every element is closed where it should be, and what every one has."""

    def __init__(self, page):
        super().__init__()
        self.open, self.found = [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def account(model, pictures):
    checkpoint = Checkpoint(model, Preprocess(size=64, resize=64), pairs=PAIRS)
    crop = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    sides = [EncodedPicture(crop, model.encode(picture[None])) for picture in pictures[:2]]
    explanation = model.explain(sides[0].encoding, sides[1].encoding)
    comparison = Comparison(*sides, explanation, judge(explanation.total, PAIRS))
    return Reported(comparison, ModelPapers.of(checkpoint), model, PAIRS)


@pytest.fixture(params=["avsl", "embedding", "cgd", "raml", "adaptation"])
def reported(request, pictures):
    return account(request.getfixturevalue(request.param), pictures)


@pytest.fixture
def page(reported):
    return report_page([reported], ("jay.webp", "owl.webp"), when="1 May 2026")


def test_a_report_needs_nothing_else(page):
    outline = Outline(page)
    addresses = [
        attributes[name] for _, attributes in outline.found for name in attributes.keys() & ADDRESSES
    ]
    assert addresses
    assert all(address.startswith("data:image/jpeg;base64,") for address in addresses)
    assert "url(http" not in page and "@import" not in page
    assert not any(tag in ("script", "link", "iframe", "object") for tag, _ in outline.found)


def test_every_picture_says_what_it_shows(page):
    alternatives = [attributes.get("alt") for tag, attributes in Outline(page).found if tag == "img"]
    assert len(alternatives) >= 4
    assert all(alternatives)


def test_it_says_the_verdict_the_distance_the_model_and_the_date(page, reported):
    for text in (
        reported.comparison.verdict.words,
        f"<strong>{reported.comparison.distance:.3f}</strong>",
        reported.papers.fingerprint,
        "1 May 2026",
        "How to read this",
        "pulls together",
    ):
        assert text in page


def test_bars_figures_and_exact_numbers_agree(page, reported):
    explanation = reported.comparison.explanation
    rows = re.findall(r'<tr data-name="([^"]+)" data-value="([^"]+)"', page)
    expected = {c.name: c.value for c in explanation.components}
    if not explanation.exact:
        expected["residual"] = explanation.residual
    assert {name: float(value) for name, value in rows} == expected
    numbers = page.split("All numbers")[1]
    assert all(repr(component.value) in numbers for component in explanation.components)


def test_gates_and_linkages_are_there_where_the_method_has_them(page, reported):
    assert ("For experts: P and W" in page) == (reported.papers.method == "avsl")
    if reported.papers.method == "avsl":
        strongest = int(reported.comparison.explanation.levels["level3"].contribution.argmax())
        assert f"Node {strongest}</th>" in page


def test_cells_that_are_few_enough_are_tables(avsl, pictures):
    reported = account(avsl, pictures)
    page = report_page([reported], ("jay.webp", "owl.webp"))
    values = reported.comparison.explanation.components[0].map_a
    tables = re.findall(r'<table class="cells">(.*?)</table>', page)
    assert len(tables) == 2 * len(reported.comparison.explanation.components)
    cells = [float(text) for text in re.findall("<td>([^<]+)</td>", tables[0])]
    assert cells == pytest.approx(values.flatten().tolist(), rel=6e-3)


def test_two_methods_stand_in_one_report_with_a_word_on_their_scales(avsl, cgd, pictures):
    page = report_page([account(avsl, pictures), account(cgd, pictures)], ("a.webp", "b.webp"))
    Outline(page)
    assert "on a scale of its own" in page
    assert page.count('<h2 class="method">') == 2
    assert page.count("The first picture as the model saw it") == 1


def test_it_is_read_by_the_same_scales_as_the_page(page, reported):
    assert legend() in page
    assert pair_ruler(reported.comparison.distance, PAIRS) in page
    assert PAIRS_NOTE in page


def test_the_map_of_everything_is_drawn_part_by_part_as_the_page_draws_it(avsl, pictures):
    reported = account(avsl, pictures)
    explanation, crop = reported.comparison.explanation, reported.comparison.a.crop
    maps = [component.map_a for component in explanation.components]
    drawn = draw_signed(crop, maps, shared_scale(total_maps(explanation)), side=336)
    assert picture_address(drawn) in report_page([reported], ("a", "b"))


def test_names_are_text_and_nothing_else(avsl, pictures):
    name = '"><script>alert(1)</script>'
    page = report_page([account(avsl, pictures)], (name, "b"), link=name)
    assert not any(tag == "script" for tag, _ in Outline(page).found)
    assert "&lt;script&gt;" in page


def test_it_is_light_on_paper_and_follows_the_reader_on_the_screen(page):
    assert "@media (prefers-color-scheme: dark)" in page
    assert "@page { size: A4" in page
    assert page.index("@media print") > page.index("prefers-color-scheme: dark")
