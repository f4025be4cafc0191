"""RAML's training: two phases, three ways of distilling, pictures or cached maps, resumed to the bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from avsl_core import functional as AF
from avsl_core.checkpoint import load_checkpoint
from avsl_core.errors import ConfigError
from avsl_core.models import build_model
from avsl_core.training import Trainer, find_recipe
from avsl_core.training.methods import OBJECTIVES
from avsl_core.training.options import RamlOptions

LABELS = torch.tensor([0, 0, 1, 1])


@pytest.fixture
def plan(tiny):
    """Two epochs of the teacher and four of the student, from 48 pixels to 40."""
    raml = RamlOptions(student_size=40, teacher_epochs=2, views=2)
    return replace(tiny, method="raml", levels=(4,), epochs=6, head_init="pca", raml=raml)


def change(plan, **options):
    """The plan with some options, those of raml among them."""
    own = {name: options.pop(name) for name in list(options) if hasattr(plan.raml, name)}
    return replace(plan, raml=replace(plan.raml, **own), **options)


def alone_plan(plan, how="alone"):
    return change(plan, teacher_epochs=0, distillation=how, epochs=3)


def objective_for(plan, epoch, classes=3):
    kind = OBJECTIVES["raml"]
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        objective = kind(
            build_model("raml", kind.model_options(plan), generator=generator), plan, classes, generator
        )
    objective.begin_epoch(epoch)
    objective.set_trainable(plan.stages_at(epoch))
    return objective.train()


def maps_of(objective, rows, seed=1):
    generator = torch.Generator().manual_seed(seed)
    channels = [objective.model.projections[side].shape[1] for side in (0, 1)]
    return [torch.rand(rows, c, s, s, generator=generator) for c, s in zip(channels, (2, 3), strict=True)]


def images_of(rows, size=48):
    return torch.randn(rows, 3, size, size, generator=torch.Generator().manual_seed(2))


def run(plan, pictures, validation, out, process, *, resume=False, cache=None):
    trainer = Trainer(plan, pictures, validation, out, process, progress=False, cache_root=cache)
    return trainer, trainer.fit(resume=resume)


class TestLosses:
    def test_the_teacher_learns_by_the_recipes_loss(self, plan):
        objective = objective_for(plan, 0)
        maps = maps_of(objective, 4)
        losses = objective(maps, LABELS)
        vectors = objective.model.vectors(maps[1], 1)
        distances = 2 - 2 * vectors @ F.normalize(objective.proxies[1], dim=1).T
        expected = AF.proxy_anchor_loss(distances, LABELS[:, None] == torch.arange(3))
        torch.testing.assert_close(losses["teacher"], expected)
        assert torch.equal(losses["total"], losses["teacher"])

    def test_the_student_learns_from_all_views_of_each_picture(self, plan):
        plan = change(plan, relational_ts=0.5, relational_ss=0.25)
        objective = objective_for(plan, 2)
        maps = maps_of(objective, 8)
        losses = objective(maps, LABELS.repeat_interleave(2))
        s, t = (objective.model.vectors(m, side).view(4, 2, 8) for side, m in enumerate(maps))
        absolute, ts = AF.absolute_distillation(s, t), AF.relational_distillation(s, t)
        ss = AF.relational_distillation(s, t, student_only=True)
        torch.testing.assert_close(losses["total"], absolute + 0.5 * ts + 0.25 * ss)

    def test_on_plain_pictures_only_the_absolute_loss_is_left(self, plan):
        objective = objective_for(change(plan, distillation="ts_reg"), 2)
        losses = objective(maps_of(objective, 4), LABELS)
        assert set(losses) == {"absolute", "total"}

    def test_alone_the_student_learns_by_the_recipes_loss(self, plan):
        objective = objective_for(change(alone_plan(plan), loss="contrastive"), 0)
        maps = maps_of(objective, 4)
        expected = objective.criterion(objective.model.vectors(maps[0], 0), LABELS)
        torch.testing.assert_close(objective(maps, LABELS)["total"], expected)

    def test_by_triplets_of_its_own(self, plan):
        objective = objective_for(change(alone_plan(plan, "sym"), triplet_margin=0.3), 0)
        maps = maps_of(objective, 4)
        expected = AF.mined_triplet_loss(objective.model.vectors(maps[0], 0), LABELS, margin=0.3)
        torch.testing.assert_close(objective(maps, LABELS)["total"], expected)


class TestWhoLearns:
    def learning(self, objective):
        return {name for name, p in objective.model.named_parameters() if p.requires_grad}

    @pytest.mark.parametrize(("epoch", "side"), [(0, 1), (2, 0)])
    def test_one_head_learns_and_the_other_rests(self, plan, epoch, side):
        objective = objective_for(plan, epoch)
        heads = {f"{kind}.{side}" for kind in ("exponents", "projections", "biases")}
        assert self.learning(objective) == heads
        rows = 8 if epoch else 4
        objective(maps_of(objective, rows), LABELS.repeat_interleave(rows // 4))["total"].backward()
        moved = {name for name, p in objective.model.named_parameters() if p.grad is not None}
        assert moved == heads

    def test_a_shared_trunk_rests_once_the_student_is_distilled(self, plan):
        plan = replace(plan, stages="all", cached=False)
        assert all(p.requires_grad for p in objective_for(plan, 0).model.trunk.parameters())
        student = objective_for(plan, 2)
        assert not any(p.requires_grad for p in student.model.trunk.parameters())
        assert not student.model.trunk.training

    def test_a_shared_trunk_learns_with_a_student_alone(self, plan):
        plan = change(alone_plan(plan), stages="all", cached=False)
        assert all(p.requires_grad for p in objective_for(plan, 0).model.trunk.parameters())

    def test_a_trunk_of_its_own_learns_in_the_students_epochs(self, plan):
        plan = change(
            plan,
            student_backbone="mobilenetv3_small_050",
            student_weights="none",
            stages="all",
            cached=False,
            freeze_norm=False,
        )
        teaching, learning = objective_for(plan, 0), objective_for(plan, 2)
        for objective, learns, rests in (
            (teaching, teaching.model.trunk, teaching.model.student_trunk),
            (learning, learning.model.student_trunk, learning.model.trunk),
        ):
            assert all(p.requires_grad for p in learns.parameters())
            assert not any(p.requires_grad for p in rests.parameters())
            groups = {group["name"]: group for group in objective.parameter_groups()}
            assert {id(p) for trunk in objective.model.trunks for p in trunk.parameters()} == {
                id(p) for p in groups["trunk"]["params"]
            }
        learning(images_of(8), LABELS.repeat_interleave(2))["total"].backward()
        assert all(p.grad is not None for p in learning.model.projections[:1])
        assert any(p.grad is not None for p in learning.model.student_trunk.parameters())

    def test_every_parameter_has_one_rate_and_exponents_do_not_decay(self, plan):
        objective = objective_for(plan, 0)
        groups = objective.parameter_groups()
        listed = [id(p) for group in groups for p in group["params"]]
        assert sorted(listed) == sorted(id(p) for p in objective.parameters())
        decays = {group["name"]: group.get("weight_decay") for group in groups}
        assert decays == {"trunk": None, "heads": None, "gates": 0.0, "proxies": None}

    def test_a_student_behind_the_teachers_trunk_begins_with_its_head(self, plan):
        model = objective_for(plan, 2).model
        for parameters in (model.exponents, model.projections, model.biases):
            assert torch.equal(parameters[0], parameters[1])

    def test_it_does_not_when_it_learns_on_its_own(self, plan):
        model = objective_for(alone_plan(plan), 0).model
        assert not torch.equal(model.projections[0], model.projections[1])


class TestPictures:
    def test_maps_and_pictures_give_the_same_losses(self, plan):
        objective = objective_for(replace(plan, cached=False), 2)
        images, labels = images_of(8), LABELS.repeat_interleave(2)
        with torch.no_grad():
            expected = objective(objective.model.trunk_maps(images), labels)
        for name, loss in objective(images, labels).items():
            torch.testing.assert_close(loss, expected[name])

    def test_the_teacher_looks_at_a_plain_picture_once(self, plan):
        objective = objective_for(change(plan, distillation="ts_reg", cached=False), 2)
        images, pictures = images_of(4), torch.tensor([7, 3, 5, 1])
        first = objective(images, LABELS, pictures)["total"]
        with torch.no_grad():
            objective.model.projections[1].zero_()  # whoever looked again would see another teacher
        order = torch.tensor([2, 0, 3, 1])
        again = objective(images[order], LABELS[order], pictures[order])["total"]
        torch.testing.assert_close(again, first)

    def test_pictures_are_mixed_before_either_network_sees_them(self, plan):
        plan = change(plan, mixup=1.0, cached=False)
        objective = objective_for(plan, 2)
        images, labels = images_of(8), LABELS.repeat_interleave(2)
        mixer = np.random.default_rng([plan.seed, 2, 2])
        share = torch.from_numpy(mixer.beta(1.0, 1.0, size=8)).float()[:, None, None, None]
        mixed = share * images + (1 - share) * images[torch.from_numpy(mixer.permutation(8))]
        losses = objective(images, labels)
        expected = objective_for(change(plan, mixup=0.0), 2)(mixed, labels)
        torch.testing.assert_close(losses["total"], expected["total"], rtol=1e-4, atol=1e-6)

    def test_the_teacher_learns_from_pictures_as_they_are(self, plan):
        images = images_of(4)
        mixing = objective_for(change(plan, mixup=1.0, cached=False), 0)(images, LABELS)
        plain = objective_for(change(plan, cached=False), 0)(images, LABELS)
        assert torch.equal(mixing["total"], plain["total"])


class TestRuns:
    @pytest.mark.parametrize("cached", [True, False])
    @pytest.mark.parametrize("how", ["ts_aug", "ts_reg"])
    def test_distillation_brings_the_student_to_the_teacher(
        self, tmp_path, plan, train_pictures, validation_pictures, alone, how, cached
    ):
        plan = change(plan, distillation=how, cached=cached, epochs=8)
        _, result = run(plan, train_pictures, validation_pictures, tmp_path / "m.safetensors", alone)
        assert result.losses[-1] < 0.8 * result.losses[2]
        assert result.best_epoch > 2
        assert load_checkpoint(result.checkpoint).model.config.sides == "asymmetric"

    @pytest.mark.parametrize("how", ["sym", "alone"])
    def test_a_student_on_its_own_is_judged_and_kept_as_one(
        self, tmp_path, plan, train_pictures, validation_pictures, alone, how
    ):
        plan = change(alone_plan(plan, how), samples_per_class=2, epochs=5)
        _, result = run(plan, train_pictures, validation_pictures, tmp_path / "m.safetensors", alone)
        assert result.losses[-1] < result.losses[0]
        assert load_checkpoint(result.checkpoint).model.config.sides == "student"

    @pytest.mark.parametrize("how", ["ts_aug", "ts_reg"])
    @pytest.mark.parametrize("cut_after", [1, 2, 4])
    def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(
        self, tmp_path, plan, train_pictures, validation_pictures, alone, how, cut_after
    ):
        plan = change(plan, distillation=how)
        maps = tmp_path / "maps"
        whole, expected = run(
            plan, train_pictures, validation_pictures, tmp_path / "a.safetensors", alone, cache=maps
        )
        out = tmp_path / "b.safetensors"
        cut = Trainer(plan, train_pictures, validation_pictures, out, alone, progress=False, cache_root=maps)

        def stop(epoch, evaluation):
            if epoch == cut_after:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            cut.fit(after_epoch=stop)
        resumed, result = run(plan, train_pictures, validation_pictures, out, alone, resume=True, cache=maps)
        assert result.losses == expected.losses
        ours, theirs = resumed.objective.state_dict(), whole.objective.state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)

    def test_a_teacher_that_was_trained_before_is_taken_over(
        self, tmp_path, plan, train_pictures, validation_pictures, alone
    ):
        teacher_plan = change(plan, teacher_epochs=3, epochs=3)
        out = tmp_path / "teacher.safetensors"
        _, taught = run(teacher_plan, train_pictures, validation_pictures, out, alone)
        teacher = load_checkpoint(taught.checkpoint).model
        assert teacher.config.sides == "teacher"
        student_plan = change(plan, teacher_epochs=0, teacher=str(out), epochs=2)
        trained, _ = run(
            student_plan, train_pictures, validation_pictures, tmp_path / "student.safetensors", alone
        )
        model = trained.model
        for own, theirs in (
            (model.projections, teacher.projections),
            (model.biases, teacher.biases),
            (model.exponents, teacher.exponents),
        ):
            assert torch.equal(own[1], theirs[1])
            assert not torch.equal(own[0], own[1])

    def test_a_teacher_of_another_shape_is_refused(self, tmp_path, plan, train_pictures, alone):
        out = tmp_path / "teacher.safetensors"
        run(change(plan, teacher_epochs=1, epochs=1), train_pictures, None, out, alone)
        other = change(plan, teacher_epochs=0, teacher=str(out), nodes=4)
        with pytest.raises(ConfigError, match=r"raml\.teacher=.*nodes and pooling"):
            Trainer(other, train_pictures, None, tmp_path / "m.safetensors", alone, progress=False)

    def test_students_of_different_sizes_do_not_share_a_cache(self, tmp_path, plan, train_pictures, alone):
        plan = change(plan, teacher_epochs=1, epochs=1)
        for size in (32, 48):
            out = tmp_path / f"{size}.safetensors"
            run(change(plan, student_size=size), train_pictures, None, out, alone, cache=tmp_path / "maps")
        assert len(list((tmp_path / "maps").iterdir())) == 2


class TestWhatCannotBe:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"levels": (3, 4)}, "levels"),
            ({"teacher_epochs": 7}, "must be at most epochs, 6"),
            ({"student_size": 64}, "must be at most preprocess.size, 48"),
            ({"teacher_epochs": 0}, "needs a teacher"),
            ({"distillation": "sym"}, "learns on its own"),
            ({"views": 3}, "must be at most views, 2"),
            ({"mixup": 0.2}, "set cached=false"),
            ({"mixup": 0.2, "distillation": "ts_reg"}, "unless raml.distillation is ts_aug"),
            ({"relational_ts": -1.0}, "raml.relational_ts"),
            ({"student_size": 0}, "raml.student_size"),
        ],
    )
    def test_is_refused_with_what_to_set(self, plan, options, message):
        with pytest.raises(ConfigError, match=message):
            change(plan, **options)


def test_the_published_recipe_has_the_published_numbers():
    recipe = find_recipe("raml")
    assert (recipe.preprocess.size, recipe.raml.student_size, recipe.nodes) == (448, 224, 512)
    assert (recipe.batch_size // recipe.accumulation, recipe.accumulation, recipe.raml.views) == (8, 25, 8)
    assert recipe.epochs - recipe.raml.teacher_epochs == 200
    assert (recipe.weight_decay, recipe.schedule, recipe.raml.mixup) == (1e-6, "onecycle", 0.2)
