"""Searching a recipe's options: what may be written, how trials end, and going on after an interruption."""

import csv
import shutil
from dataclasses import replace
from functools import partial

import optuna
import pytest

from avsl_core.checkpoint import load_checkpoint
from avsl_core.errors import ConfigError, TrainingError
from avsl_core.training import Process, Trainer
from avsl_core.training.options import RamlOptions
from avsl_core.training.recipes import RECIPES, find_recipe
from avsl_core.training.search_space import parse_search
from avsl_core.training.tuning import tune

optuna.logging.set_verbosity(optuna.logging.WARNING)

WRITTEN = ("lr_heads=1e-4:1e-1:log", "head_init=kaiming,pca", "nodes=4:12")


@pytest.fixture
def plan(tiny):
    return replace(tiny, method="embedding", levels=(4,), epochs=2)


@pytest.fixture
def search(plan, train_pictures, validation_pictures, alone, tmp_path):
    """search(written, trials=...): run a search in a folder that keeps its maps between calls."""

    def run(written=WRITTEN, *, recipe=plan, out=tmp_path / "search", **options):
        parsed = [parse_search(recipe, text) for text in written]
        pictures = (train_pictures, validation_pictures)
        return tune(recipe, parsed, *pictures, out, alone, progress=False, **options)

    return run


class TestWhatIsSearched:
    def test_ranges_take_the_options_kind_of_number(self, plan):
        assert parse_search(plan, "nodes=4:12").whole
        assert not parse_search(plan, "lr_heads=1:2").whole
        assert parse_search(plan, "raml.relational_ts=0:4").high == 4.0
        assert parse_search(plan, "lr_heads=1e-5:1e-2:log").log

    def test_lists_take_any_value_of_the_option(self, plan):
        assert parse_search(plan, "loss=margin, triplet").choices == ("margin", "triplet")
        assert parse_search(plan, "raml.pooling=gem,mac").key == "raml.pooling"

    def test_options_of_a_loss_are_searched_like_others(self, plan):
        plan = replace(plan, loss="histogram")
        assert parse_search(plan, "loss_options.n_bins=20:100").whole
        assert parse_search(plan, "loss_options.m=0.1:0.5").high == 0.5  # of another loss, tried as well
        with pytest.raises(ConfigError, match="no option of loss=histogram; known: n_bins"):
            parse_search(plan, "loss_options.bins=20:100")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("lr_heads", "write what to search"),
            ("lr_heads=", "write what to search"),
            ("lr=1:2", "unknown option 'lr'"),
            ("raml.lr=1:2", "unknown option 'lr'"),
            ("nodes=1.5:2", "must be int"),
            ("schedule=step,nowhere", "must be one of"),
            ("schedule=step", "at least two values"),
            ("loss=margin:triplet", "no number"),
            ("cached=true:false", "no number"),
            ("lr_heads=2:1", "rises"),
            ("lr_heads=0:nan", "rises"),
            ("lr_heads=0:1:log", "begins above 0"),
            ("lr_heads=0:1:exp", "low:high:log"),
            ("lr_heads=0:1:log:2", "low:high:log"),
        ],
    )
    def test_what_cannot_be_read_is_refused(self, plan, text, message):
        with pytest.raises(ConfigError, match=message):
            parse_search(plan, text)


class TestSearch:
    def test_the_best_trial_is_kept_with_its_options(self, search):
        result = search(trials=4)
        assert [outcome.number for outcome in result.trials] == [1, 2, 3, 4]
        values = [outcome.value for outcome in result.trials if outcome.state == "complete"]
        assert result.best.value == max(values)
        kept = load_checkpoint(result.checkpoint)
        assert kept.metrics["validation"]["map@r"] == result.best.value
        recipe = kept.record["recipe"]
        assert {key: recipe[key] for key in result.best.options} == result.best.options
        left = {path.name for path in result.checkpoint.parent.iterdir()}
        assert left == {"best.safetensors", "trials.csv", "search.db", "maps"}

    def test_the_table_lists_all_trials(self, search):
        result = search(trials=3)
        with result.table.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["state"] for row in rows] == [outcome.state for outcome in result.trials]
        for row, outcome in zip(rows, result.trials, strict=True):
            assert float(row["map@r"]) == pytest.approx(outcome.value, abs=1e-6)
            assert row["head_init"] == outcome.options["head_init"]
            assert float(row["lr_heads"]) == outcome.options["lr_heads"]

    def test_trials_share_the_maps(self, search):
        result = search(trials=3)
        assert len(list((result.checkpoint.parent / "maps").iterdir())) == 2  # training and validation

    def test_an_interrupted_search_ends_as_the_uninterrupted_one(self, search, tmp_path, monkeypatch):
        whole = search(trials=4, out=tmp_path / "whole")
        runs = []
        original = Trainer.fit

        def interrupted(self, **options):
            runs.append(1)
            if len(runs) == 3:
                raise KeyboardInterrupt
            return original(self, **options)

        monkeypatch.setattr(Trainer, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            search(trials=4)
        told = []
        again = search(trials=4, on_trial=told.append)
        assert [outcome.number for outcome in told] == [3, 4]
        assert [o.options for o in again.trials] == [o.options for o in whole.trials]
        assert [o.value for o in again.trials] == [o.value for o in whole.trials]

    def test_more_trials_can_be_added(self, search):
        first = search(trials=2)
        more = search(trials=3)
        assert more.trials[:2] == first.trials
        assert len(more.trials) == 3

    def test_a_finished_search_is_not_repeated(self, search, monkeypatch):
        first = search(trials=2)
        monkeypatch.setattr(Trainer, "fit", None)
        assert search(trials=2) == first

    def test_options_that_do_not_go_together_are_a_failed_trial(self, search):
        result = search(["positive_margin=0.1,1.5", "negative_margin=0.2,2.0"], trials=8)
        failed = [outcome for outcome in result.trials if outcome.state == "failed"]
        assert failed
        for outcome in failed:
            assert outcome.options == {"positive_margin": "1.5", "negative_margin": "0.2"}
            assert "at least positive_margin" in outcome.error
        assert result.best.state == "complete"

    def test_a_search_without_any_success_says_why(self, search, plan):
        recipe = replace(plan, lr_heads=1e30, schedule="constant", clip=0.0)
        with pytest.raises(ConfigError, match="no trial succeeded: the loss is no longer finite"):
            search(["nodes=4:6"], recipe=recipe, trials=2)

    def test_trials_that_fall_behind_the_median_are_given_up(self, search, plan):
        plan = replace(plan, lr_heads=0.0, head_init="pca")
        result = search(["nodes=1:16"], recipe=plan, trials=9, metric="recall@1")
        pruned = [outcome for outcome in result.trials if outcome.state == "pruned"]
        assert pruned
        assert all(outcome.number > 5 and outcome.value < result.best.value for outcome in pruned)

    def test_a_teachers_epochs_do_not_count_for_its_student(self, search, plan, tmp_path):
        raml = RamlOptions(student_size=32, teacher_epochs=2, views=2)
        recipe = replace(plan, method="raml", raml=raml, epochs=4)
        search(["raml.relational_ts=0:4"], recipe=recipe, trials=1)
        storage = f"sqlite:///{tmp_path / 'search' / 'search.db'}"
        (trial,) = optuna.load_study(study_name="search", storage=storage).get_trials()
        assert set(trial.intermediate_values) == {3, 4}

    def test_options_that_only_some_trials_read_may_be_searched_with_what_decides_it(self, search):
        written = ["loss=proxy_anchor,circle", "loss_alpha=4:8", "nodes=4:8"]
        result = search(written, trials=4)
        assert {outcome.options["loss"] for outcome in result.trials} == {"proxy_anchor", "circle"}
        assert all(outcome.error is None for outcome in result.trials)

    @pytest.mark.parametrize(
        ("recipe", "written"),
        [
            ("cpu-raml", ["raml.teacher_epochs=12:36", "raml.views=2:4"]),
            (
                "cpu-raml",
                ["raml.teacher_epochs=0:36", "raml.views=2:4"],
            ),  # neither end lets the student learn
            ("margin", ["loss_options.learn_beta=true,false", "lr_proxies=1e-4:1e-2:log"]),
        ],
    )
    def test_it_is_enough_that_one_value_of_what_decides_lets_an_option_count(self, search, recipe, written):
        # Further down the list of what is checked, so that nothing is trained.
        recipes = {"margin": find_recipe("cpu-diml", ["loss=margin", "loss_options.learn_beta=false"])}
        with pytest.raises(ConfigError, match="unknown metric"):
            search(written, recipe=recipes.get(recipe) or RECIPES[recipe], trials=1, metric="map")

    def test_a_losss_options_reach_its_trials(self, search, plan):
        recipe = replace(plan, loss="circle")
        result = search(["loss_options.m=0.1:0.5"], recipe=recipe, trials=1)
        (tried,) = result.best.options.values()
        assert load_checkpoint(result.checkpoint).record["recipe"]["loss_options"] == {"m": tried}

    def test_a_search_begun_in_another_precision_goes_on_with_a_warning(self, search, tmp_path, caplog):
        search(trials=1)
        storage = f"sqlite:///{tmp_path / 'search' / 'search.db'}"
        optuna.load_study(study_name="search", storage=storage).set_user_attr("precision", "bf16")
        assert len(search(trials=1).trials) == 1
        assert "began in bf16, its trials here work in float32" in caplog.text

    def test_facts_about_the_pictures_go_into_the_checkpoint(self, search):
        record = load_checkpoint(search(trials=1, record={"data": "birds"}).checkpoint).record
        assert record["data"] == "birds"
        assert record["search"]["metric"] == "map@r"


class TestWhatCannotBe:
    @pytest.mark.parametrize(
        ("written", "options", "message"),
        [
            ([], {"trials": 1}, "nothing to search"),
            (["nodes=1:2", "nodes=1:2"], {"trials": 1}, "searched twice"),
            (["nodes=1:2"], {"trials": 0}, "at least 1"),
            (["nodes=1:2"], {"trials": 1, "metric": "map"}, "unknown metric"),
            (["step_epochs=1:2"], {"trials": 1}, "step_epochs: has no effect with schedule=cosine"),
            (["loss_options.m=0.1:0.5", "loss=circle,margin"], {"trials": 1}, "no option of loss=margin"),
            (["loss_alpha=4:8", "loss=circle,margin"], {"trials": 1}, "loss_alpha: has no effect with loss"),
        ],
    )
    def test_is_refused_before_anything_is_written(self, search, tmp_path, written, options, message):
        with pytest.raises(ConfigError, match=message):
            search(written, **options)
        assert not (tmp_path / "search").exists()

    def test_a_folder_of_something_else_is_left_alone(self, search, tmp_path):
        mine = tmp_path / "search" / "trial" / "notes.txt"
        mine.parent.mkdir(parents=True)
        mine.write_text("mine")
        with pytest.raises(ConfigError, match="holds files and no search; name a new or an empty folder"):
            search(trials=1)
        assert [path for path in (tmp_path / "search").rglob("*") if path.is_file()] == [mine]

    def test_a_damaged_storage_is_named(self, search, tmp_path):
        storage = tmp_path / "search" / "search.db"
        storage.parent.mkdir()
        storage.write_bytes(b"no database" * 100)
        with pytest.raises(
            TrainingError, match=r"search\.db: cannot be used \(file is not a database\); "
        ) as caught:
            search(trials=1)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("written", "message"),
        [
            (["gamma=1:2"], "gamma: an option of method avsl, and the method is embedding"),
            (["cgd.smoothing=0:0.5"], "an option of method cgd"),
            (["pooling=avg,avgmax", "method=embedding,avsl"], "pooling: .* and the method is avsl"),
            (["warmup_epochs=0:2"], "warmup_epochs: has no effect with stages=none"),
        ],
    )
    def test_options_that_no_trial_would_read_are_refused(self, search, tmp_path, written, message):
        with pytest.raises(ConfigError, match=message):
            search(written, trials=1)
        assert not (tmp_path / "search").exists()

    def test_several_processes_are_refused(self, plan, train_pictures, validation_pictures, tmp_path, alone):
        parsed = [parse_search(plan, "nodes=1:2")]
        with pytest.raises(ConfigError, match="one process"):
            tune(
                plan,
                parsed,
                train_pictures,
                validation_pictures,
                tmp_path,
                Process(0, 2, alone.device),
                trials=1,
            )

    def test_another_search_in_the_folder_is_named(self, search, plan):
        search(["nodes=4:6"], trials=1)
        with pytest.raises(TrainingError, match="another search;"):
            search(["nodes=4:7"], trials=1)
        with pytest.raises(TrainingError, match="another recipe, seed;"):
            search(["nodes=4:6"], trials=1, seed=1, recipe=replace(plan, lr_heads=1.0))

    @pytest.mark.parametrize("changed", ["names", "cropped"])
    def test_other_pictures_of_the_same_classes_are_another_search(
        self, plan, train_pictures, validation_pictures, tmp_path, alone, changed
    ):
        boxed = replace(train_pictures, boxes=((0, 0, 50, 50),) * len(train_pictures))
        parsed = [parse_search(plan, "nodes=4:6")]
        run = partial(tune, plan, parsed, out=tmp_path / "search", process=alone, progress=False, trials=1)
        run(train=boxed, validation=validation_pictures)
        other = replace(boxed, cropped=True)
        if changed == "names":
            first = boxed.paths[0]
            renamed = tmp_path / first.parent.name / "another.png"
            renamed.parent.mkdir()
            shutil.copy(first, renamed)
            other = replace(boxed, paths=(renamed, *boxed.paths[1:]))
        with pytest.raises(TrainingError, match="another training pictures;"):
            run(train=other, validation=validation_pictures)
