"""The whole measurement on a tiny model and a few made pairs."""

import numpy as np
import pytest
import torch
from PIL import Image

from avsl_core.checkpoint import Checkpoint
from avsl_core.errors import ConfigError, DataError
from avsl_core.faithfulness import EXPLAINERS, PairMaps, measure_faithfulness
from avsl_core.faithfulness.aviary_cases import changed_parts
from avsl_core.faithfulness.photographs import photograph_pairs
from avsl_core.images import Preprocess

CHEAP = ["ledger", "gradient_x_input", "random"]


@pytest.fixture(scope="module")
def checkpoint(avsl):
    return Checkpoint(avsl, Preprocess(size=64, resize=64))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name in ("one", "two", "three"):
        (root / name).mkdir()
        for number in range(2):
            pixels = rng.integers(0, 255, (70, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def report(checkpoint, folder):
    return measure_faithfulness(
        checkpoint,
        pairs=10,
        seed=1,
        methods=CHEAP,
        perturbation_pairs=2,
        photos=folder,
        sanity=True,
        levels=True,
    )


def test_every_method_gets_every_figure(report):
    assert list(report) == CHEAP
    for values in report.values():
        assert {"pointing", "pointing_15px", "mass", "area", "deletion", "insertion", "ms"} <= set(values)
        assert all(0 <= values[key] <= 1 for key in ("pointing", "pointing_15px", "mass", "area"))
        assert values["pointing"] <= values["pointing_15px"]
        assert values["ms"] > 0
        assert (values["pairs"], values["perturbation_pairs"]) == (10, 2)
        assert {"deletion", "insertion"} <= set(values["species"]) & set(values["photos"])


def test_methods_see_the_same_pairs(report):
    assert len({values["area"] for values in report.values()}) == 1
    assert len({values["blurred"] for values in report.values()}) == 1


def test_figures_by_part_average_to_the_whole(report):
    by_part = report["ledger"]["by_part"]
    assert len(by_part) == 9
    total = sum(values["pointing"] * values["pairs"] for values in by_part.values())
    assert total / 10 == pytest.approx(report["ledger"]["pointing"])


def test_levels_completeness_sanity_and_level_truth_are_where_they_belong(report):
    assert list(report["ledger"]["by_level"]) == ["level1", "level2", "level3"]
    assert report["ledger"]["completeness"]["worst"] < 1e-9
    assert report["ledger"]["sanity"]["none"] == pytest.approx(1.0)
    assert report["gradient_x_input"]["sanity"]["none"] == pytest.approx(1.0)
    assert report["ledger"]["level_truth"]["cases"] == 10
    assert not {"by_level", "completeness", "sanity", "level_truth"} & set(report["random"])


def test_the_truth_itself_as_a_further_method_scores_full_marks(checkpoint):
    answers = {
        case.a.numpy().tobytes(): (case.mask, case.mask)
        for case in changed_parts(checkpoint.preprocess, torch.device("cpu"), count=9, seed=4)
    }

    def oracle(model, a, b):
        masks = answers.get(a.numpy().tobytes(), (np.ones((64, 64)), np.ones((64, 64))))
        return PairMaps(*(torch.from_numpy(mask.astype(np.float32)) for mask in masks))

    report = measure_faithfulness(
        checkpoint, pairs=9, seed=4, methods=["oracle", "centre"], explainers={"oracle": oracle}
    )
    assert report["oracle"]["pointing"] == report["oracle"]["mass"] == 1.0
    assert report["oracle"]["deletion"] < report["centre"]["deletion"]


def test_photographs_are_paired_across_classes_and_repeat(folder):
    preprocess = Preprocess(size=64, resize=64)
    drawn, again = (list(photograph_pairs(preprocess, folder, torch.device("cpu"), 5, 0)) for _ in range(2))
    assert len(drawn) == 5
    for (a, b), (a2, b2) in zip(drawn, again, strict=True):
        assert a.shape == b.shape == (1, 3, 64, 64)
        assert torch.equal(a, a2)
        assert torch.equal(b, b2)
        assert not torch.equal(a, b)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pairs": 0},
        {"seed": -1},
        {"perturbation_pairs": 0},
        {"perturbation_pairs": 9},
        {"methods": ["x"]},
        {"methods": ["random"], "levels": True},
    ],
)
def test_numbers_and_names_out_of_range_are_refused(checkpoint, wrong):
    with pytest.raises(ConfigError):
        measure_faithfulness(checkpoint, **{"pairs": 8} | wrong)


def test_a_missing_folder_is_reported_before_the_work(checkpoint, tmp_path):
    def never(model, a, b):
        raise AssertionError("work began")

    with pytest.raises(DataError, match="no such folder"):
        measure_faithfulness(
            checkpoint, pairs=1, photos=tmp_path / "none", methods=["never"], explainers={"never": never}
        )


def test_all_methods_are_measured_unless_some_are_chosen(checkpoint):
    report = measure_faithfulness(checkpoint, pairs=1)
    assert list(report) == list(EXPLAINERS)
    assert report["integrated_gradients"]["completeness"]["worst"] >= 0
