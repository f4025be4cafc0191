"""Learning from pairs: one fit, several runs, and the checkpoint that comes of it."""

import json

import pytest
import torch

from avsl_core.adaptation import FitOptions, PairFeatures, RunOptions, adapt_pairs, fit_head, pair_features
from avsl_core.checkpoint import load_checkpoint, save_checkpoint
from avsl_core.comparison import compare
from avsl_core.data import split_pairs
from avsl_core.encoding import encode_pictures
from avsl_core.errors import ConfigError, DataError, TrainingError
from avsl_core.evaluation import evaluate_encoding
from avsl_core.models.adaptation_head import principal_components

FIT = FitOptions(width=32, steps=40, lr=1e-2)
RUNS = RunOptions(runs=3)


def hidden(count, seed=0, *, dimensions=12):
    """Pairs that share a few numbers under noise that is louder than they are."""
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(count, 4, generator=generator)
    left, right = (2 * torch.randn(count, dimensions, generator=generator) for _ in range(2))
    left[:, :4], right[:, :4] = shared, shared
    return left, right


@pytest.fixture
def pairs():
    return PairFeatures(*hidden(60))


@pytest.fixture(scope="module")
def learned(pair_set, frozen, small, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache") / "f.npz"
    whole, features = pair_features(frozen, small, pair_set, cache)
    return adapt_pairs(frozen, small, whole, features, FIT, RUNS, record={"weights": "none"})


class TestFit:
    @pytest.mark.parametrize(
        ("options", "better"),
        [({}, 0.5), ({"kind": "peterson", "lr": 0.05}, 0.6), ({"pca": 8}, 0.7), ({"kind": "dummy"}, 1.0)],
    )
    def test_lowers_the_loss_unless_there_is_nothing_to_learn(self, pairs, options, better):
        fit = FitOptions(**{"width": 64, "steps": 60, "lr": 1e-2} | options)
        losses = []
        _, final = fit_head(pairs, fit, on_step=lambda step, loss: losses.append(loss))
        if options.get("kind") == "dummy":
            assert losses == []
            return
        assert len(losses) == 60
        assert final < better * losses[0]

    def test_looks_at_the_mirrored_pairs_too(self, pairs):
        mirrored = PairFeatures(*hidden(60), *hidden(60, seed=1))
        alone, _ = fit_head(pairs, FIT)
        both, _ = fit_head(mirrored, FIT)
        assert len(mirrored.sets()) == 2
        assert not torch.equal(alone.weight, both.weight)
        twice, _ = fit_head(PairFeatures(*hidden(60), *hidden(60)), FIT)
        torch.testing.assert_close(twice.weight, alone.weight, atol=1e-4, rtol=1e-3)

    def test_depends_on_the_seed_alone(self, pairs):
        first, again, other = (fit_head(pairs, FIT, seed=seed)[0].weight for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    def test_fits_the_pca_on_what_it_is_given(self, pairs):
        head, _ = fit_head(pairs, FitOptions(kind="dummy", pca=3))
        mean, components = principal_components(torch.cat([pairs.left, pairs.right]), 3)
        torch.testing.assert_close(head.pca_mean, mean)
        torch.testing.assert_close(head.pca_components, components)

    def test_too_many_components_are_refused(self, pairs):
        with pytest.raises(DataError, match="set a smaller pca"):
            fit_head(pairs[range(4)], FitOptions(pca=12))

    def test_a_loss_that_is_not_finite_stops_it(self, pairs):
        broken = PairFeatures(pairs.left * float("nan"), pairs.right)
        with pytest.raises(TrainingError, match="smaller learning rate"):
            fit_head(broken, FIT)

    @pytest.mark.parametrize(
        "options",
        [{"lr": 0.0}, {"steps": -1}, {"temperature": 0.0}, {"width": 0}, {"pca": -1}, {"kind": "x"}],
    )
    def test_options_out_of_range_are_refused(self, options):
        with pytest.raises(ConfigError):
            FitOptions(**options)


class TestRuns:
    def test_each_has_a_seed_and_a_division_of_its_own(self, learned, pair_set):
        assert [run.seed for run in learned.runs] == [0, 1, 2]
        assert {(run.train, run.test) for run in learned.runs} == {(18, 6)}
        divisions = {tuple(split_pairs(pair_set.names, 0.75, run.seed)[1]) for run in learned.runs}
        assert len(divisions) == 3

    def test_scores_are_of_held_out_pairs_before_and_after(self, learned, pair_set, frozen, small):
        model = learned.checkpoint.model
        _, test = split_pairs(pair_set.names, 0.75, 0)
        left, right = (
            encode_pictures(frozen, small, [side[i] for i in test])
            for side in (pair_set.left, pair_set.right)
        )
        nearest = (left.vectors @ right.vectors.T).argsort(dim=1, descending=True)
        back = (right.vectors @ left.vectors.T).argsort(dim=1, descending=True)
        hits = [nearest[i, 0] == i or back[i, 0] == i for i in range(len(test))]
        run = learned.runs[0]
        assert run.before["asymmetric_recall@1"] == pytest.approx(sum(map(bool, hits)) / len(test))
        assert set(run.after) == {f"asymmetric_recall@{k}" for k in (1, 3, 5)}
        assert learned.checkpoint.metrics == {"test": run.after, "test_before": run.before}
        assert model.config.kind == "original"

    def test_summary_is_mean_and_deviation_over_runs(self, learned):
        values = torch.tensor([run.after["asymmetric_recall@3"] for run in learned.runs], dtype=torch.float64)
        cell = learned.summary()["after"]["asymmetric_recall@3"]
        assert cell["mean"] == pytest.approx(float(values.mean()))
        assert cell["deviation"] == pytest.approx(float(values.std()))

    def test_a_pair_with_an_unreadable_picture_is_left_out(self, pair_set, frozen, small, tmp_path):
        from dataclasses import replace

        bad = tmp_path / "002.png"
        bad.write_bytes(b"bad")
        broken = replace(pair_set, right=(*pair_set.right[:2], bad, *pair_set.right[3:]))
        whole, features = pair_features(frozen, small, broken, tmp_path / "f.npz", mirrored=False)
        assert "002" not in whole.names
        assert len(whole) == len(features) == 23
        assert features.mirrored_left is None
        intact, all_features = pair_features(frozen, small, pair_set, tmp_path / "g.npz", mirrored=False)
        torch.testing.assert_close(features.right[2], all_features.right[intact.names.index("003")])

    def test_too_few_pairs_are_refused(self, pair_set, frozen, small):
        from dataclasses import replace

        few = replace(pair_set, names=pair_set.names[:3])
        with pytest.raises(DataError, match="too few"):
            adapt_pairs(frozen, small, few, PairFeatures(*hidden(3)), FIT, RUNS)

    @pytest.mark.parametrize(
        "options", [{"runs": 0}, {"ks": ()}, {"ks": (0, 1)}, {"ks": (1, 1)}, {"seed": -1}]
    )
    def test_options_out_of_range_are_refused(self, options):
        with pytest.raises(ConfigError):
            RunOptions(**options)


class TestCheckpoint:
    @pytest.fixture(scope="class")
    def opened(self, learned, tmp_path_factory):
        return load_checkpoint(
            save_checkpoint(learned.checkpoint, tmp_path_factory.mktemp("out") / "a.safetensors")
        )

    def test_is_the_first_runs_model(self, learned, pair_set, frozen, small, tmp_path):
        train, _ = split_pairs(pair_set.names, 0.75, 0)
        _, features = pair_features(frozen, small, pair_set, tmp_path / "f.npz")
        head, _ = fit_head(features[train], FIT, seed=0)
        assert torch.equal(learned.checkpoint.model.head.weight, head.weight)

    def test_records_how_it_came_about(self, opened):
        record = json.loads(json.dumps(dict(opened.record)))
        assert (record["data"], record["pairs"], record["mirrored"]) == ("grids", 24, True)
        assert record["fit"]["steps"] == 40
        assert record["fit"]["lr"] == 1e-2
        assert len(record["runs"]) == 3
        assert record["weights"] == "none"

    def test_gives_verdicts_and_accounts_before_and_after(self, opened, pair_set):
        found = compare(opened, pair_set.left[0], pair_set.right[0])
        assert found.verdict.grade != "unknown"
        account = found.explanation
        assert [c.name for c in account.components] == [f"layer{n}" for n in range(1, 6)]
        assert [c.name for c in account.before.components] == [c.name for c in account.components]
        assert sum(c.value for c in account.components) == pytest.approx(account.total)

    def test_partners_are_closer_than_others(self, opened):
        pairs = opened.pairs
        assert (pairs.same_count, pairs.different_count) == (6, 30)
        assert pairs.same[50] < pairs.different[50]

    def test_can_be_evaluated_on_classes(self, opened, pair_set):
        encoding = encode_pictures(opened.model, opened.preprocess, pair_set.left[:6])
        assert evaluate_encoding(opened.model, encoding, [0, 0, 1, 1, 2, 2]).metrics.queries == 6
