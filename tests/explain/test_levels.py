import pytest
import torch

from avsl_core.explain.levels import component_titles, part_titles, residual_title
from avsl_core.explain.methods import account_words, method_words
from avsl_core.models import Component, Explanation
from avsl_core.models.registry import METHODS

CELLS = torch.zeros(2, 2)


def explain(method, *names, exact=True):
    components = tuple(Component(name, 0.5, CELLS, CELLS) for name in names)
    return Explanation(method, 0.5 * len(names), components, exact=exact)


def test_levels_and_layers_are_named_by_their_place():
    titles = part_titles(["level2", "level7"]) + part_titles(["layer1", "layer2", "layer3"])
    assert [title for title, _ in titles] == ["Level 1", "Level 2", "Layer 1", "Layer 2", "Layer 3"]
    assert titles[-1][1] == "late in the network"


def test_a_part_that_is_not_known_keeps_its_name():
    assert part_titles(["level1", "global"]) == [("Level 1", "the whole picture"), ("Global", "")]
    assert part_titles(["layer"]) == [("Layer 1", "the whole picture")]


@pytest.mark.parametrize(
    ("method", "names", "titles"),
    [
        ("cgd", ["S", "M", "G"], ["Mean", "Maximum", "Generalised mean"]),
        ("raml", ["low", "high"], ["Low resolution", "High resolution"]),
        ("diml", ["level1", "structure"], ["Whole", "Structure"]),
        ("diml", ["S", "M", "G", "structure"], ["Mean", "Maximum", "Generalised mean", "Structure"]),
    ],
)
def test_every_part_of_every_method_has_a_title_and_a_gloss(method, names, titles):
    found = component_titles(explain(method, *names))
    assert [title for title, _ in found.values()] == titles
    assert all(gloss.endswith("2\u00a0cells") and "," in gloss for _, gloss in found.values())


def test_what_matching_takes_from_its_base_is_said_to_be_halved():
    glosses = [gloss for _, gloss in part_titles(["S", "M", "structure"], "diml")]
    assert ["halved" in gloss for gloss in glosses] == [True, True, False]


@pytest.mark.parametrize("names", [["high", "structure"], ["layer1", "layer2", "structure"]])
def test_what_it_takes_whole_is_not(names):
    assert not any("halved" in gloss for _, gloss in part_titles(names, "diml"))


def test_a_residual_is_called_by_its_method():
    assert residual_title("raml")[0] == "Resolution gap"
    assert residual_title("avsl")[0] == "Not attributed"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_words(method):
    words = method_words(method)
    assert words.topic
    assert words.shows.startswith("Shows ")
    assert words.shows.endswith(".")
    assert words.title("mine") == f"{words.name} (mine): {words.topic}"


def test_zero_is_no_difference_only_where_that_is_true():
    methods = ("avsl", "embedding", "cgd", "adaptation", "diml", "raml")
    assert ["0 is no difference" in method_words(name).zero for name in methods] == [True] * 4 + [False] * 2
    assert account_words(explain("raml", "low")).zero == "0 is no difference"
    assert account_words(explain("raml", "low", "high", exact=False)).zero != "0 is no difference"
