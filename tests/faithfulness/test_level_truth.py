"""What the level bars mean: measured on pairs that differ in one respect only, and said in words."""

import pytest
import torch

from avsl_core.errors import ConfigError, DataError
from avsl_core.faithfulness import LevelCase, level_truth
from avsl_core.faithfulness.aviary_cases import three_changes
from avsl_core.faithfulness.level_truth import KINDS, conclude, level_shares
from avsl_core.images import Preprocess


@pytest.fixture(scope="module")
def cases(pictures):
    return [
        LevelCase(
            "wing", pictures[i][None], {kind: pictures[i + 1 + k][None] for k, kind in enumerate(KINDS)}
        )
        for i in range(3)
    ]


def test_shares_and_heights_by_kind_come_with_paired_differences(avsl, cases):
    truth = level_truth(avsl, cases)
    assert truth["levels"] == ["level1", "level2", "level3"]
    assert truth["cases"] == 3
    for kind in KINDS:
        assert sum(truth["shares"][kind].values()) == pytest.approx(1.0)
        assert 0 <= truth["height"][kind] <= 1
    for measure, sign in (
        ("height", truth["height"]),
        ("lowest", {k: v["level1"] for k, v in truth["shares"].items()}),
    ):
        mean = truth["texture_minus_form"][measure]["mean"]
        assert mean == pytest.approx(sign["texture"] - sign["form"])
    assert truth["says"] == conclude(truth["texture_minus_form"]["height"])


def test_equal_changes_are_not_told_apart(avsl, pictures):
    same = LevelCase("wing", pictures[:1], dict.fromkeys(KINDS, pictures[1:2]))
    truth = level_truth(avsl, [same, same])
    assert truth["texture_minus_form"]["height"]["mean"] == 0.0
    assert "do not tell texture from form" in truth["says"]


@pytest.mark.parametrize(
    ("mean", "right_way", "words"),
    [
        (-0.2, 0.9, "mean what they say, clearly"),
        (-0.2, 0.6, "on average, though not in every case"),
        (-0.01, 0.6, "do not tell texture from form"),
        (0.2, 0.1, "do not mean what one expects"),
    ],
)
def test_the_conclusion_follows_from_the_numbers(mean, right_way, words):
    assert words in conclude({"mean": mean, "standard_error": 0.02, "right_way": right_way})


def test_one_case_is_too_few(avsl, cases):
    with pytest.raises(DataError, match="at least two"):
        level_truth(avsl, cases[:1])


def test_shares_of_a_pair_sum_to_one(avsl, pictures):
    assert sum(level_shares(avsl, pictures[:1], pictures[1:2]).values()) == pytest.approx(1.0)


def test_made_cases_change_one_part_in_three_ways_and_repeat():
    preprocess = Preprocess(size=64, resize=64)
    cases, again = (list(three_changes(preprocess, torch.device("cpu"), count=2, seed=5)) for _ in range(2))
    for one, other in zip(cases, again, strict=True):
        assert set(one.changed) == set(KINDS)
        assert torch.equal(one.original, other.original)
        for kind in KINDS:
            assert torch.equal(one.changed[kind], other.changed[kind])
            differs = (one.changed[kind] != one.original).any(dim=1)
            assert 0 < differs.float().mean() < 0.5
    assert cases[0].part != cases[1].part


@pytest.mark.parametrize(("wrong", "says"), [({"split": "both"}, "split"), ({"seed": -1}, "0 or more")])
def test_unknown_splits_and_negative_seeds_are_refused(wrong, says):
    with pytest.raises(ConfigError, match=says):
        next(three_changes(Preprocess(size=64), torch.device("cpu"), **{"count": 1, "seed": 0} | wrong))
