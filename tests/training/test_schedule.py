from dataclasses import replace

import pytest

from avsl_core.training import TrainConfig
from avsl_core.training.options import RamlOptions
from avsl_core.training.schedule import rate_factor

PLAN = TrainConfig(epochs=20, finetune_epochs=5, finetune_lr_scale=0.1)


def test_steps_fall_by_the_factor():
    plan = replace(PLAN, schedule="step", step_epochs=10, step_factor=0.5)
    assert [rate_factor(plan, epoch, 0, 4) for epoch in (0, 9, 10, 19)] == [1.0, 1.0, 0.5, 0.5]


def test_cosine_rises_then_falls_and_never_reaches_zero():
    plan = replace(PLAN, schedule="cosine")
    factors = [rate_factor(plan, epoch, step, 4) for epoch in range(20) for step in range(4)]
    top = factors.index(max(factors))
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert min(factors) > 0
    assert max(factors) <= 1


@pytest.mark.parametrize("schedule", ["step", "cosine", "constant"])
def test_fine_tuning_is_scaled(schedule):
    plan = replace(PLAN, schedule=schedule)
    assert 0 < rate_factor(plan, 22, 0, 4) <= 0.1


@pytest.mark.parametrize("schedule", ["onecycle", "cyclic", "exponential"])
def test_every_factor_is_above_zero_and_at_most_one(schedule):
    plan = replace(PLAN, schedule=schedule, step_epochs=4)
    factors = [rate_factor(plan, epoch, step, 4) for epoch in range(25) for step in range(4)]
    assert min(factors) > 0
    assert max(factors) <= 1
    assert max(factors[80:]) <= 0.1


def test_onecycle_rises_from_a_tenth_over_three_tenths_then_falls_to_nearly_nothing():
    plan = replace(PLAN, schedule="onecycle")
    factors = [rate_factor(plan, epoch, step, 50) for epoch in range(20) for step in range(50)]
    top = factors.index(max(factors))
    assert top / len(factors) == pytest.approx(0.3, abs=0.01)
    assert factors[0] == pytest.approx(0.1, abs=1e-3)
    assert factors[top] == pytest.approx(1.0, abs=1e-3)
    assert factors[-1] == pytest.approx(1e-5, abs=1e-5)
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)


def test_cycles_are_triangles_whose_height_shrinks():
    plan = replace(PLAN, schedule="cyclic", step_epochs=4, step_factor=0.5)
    at = {epochs: rate_factor(plan, epochs, 0, 10_000) for epochs in (0, 2, 4, 8, 12, 16)}
    expected = {0: 0.1, 2: 0.55, 4: 1.0, 8: 0.1, 12: 0.55, 16: 0.1}
    assert at == pytest.approx(expected, abs=1e-3)


def test_exponential_is_step_without_its_stairs():
    plan = replace(PLAN, schedule="exponential", step_epochs=5, step_factor=0.5)
    at = [rate_factor(plan, epoch, 0, 10_000) for epoch in (0, 5, 10)]
    assert at == pytest.approx([1.0, 0.5, 0.25], abs=1e-4)
    assert rate_factor(plan, 2, 5_000, 10_000) == pytest.approx(0.5**0.5, abs=1e-4)


@pytest.mark.parametrize("schedule", ["step", "cosine", "onecycle", "cyclic", "exponential"])
def test_a_student_begins_its_own_schedule_after_its_teacher(schedule):
    raml = RamlOptions(teacher_epochs=12, student_size=100)
    plan = replace(PLAN, method="raml", levels=(4,), raml=raml, schedule=schedule, step_epochs=4)
    alone = replace(PLAN, epochs=8, schedule=schedule, step_epochs=4)
    for epoch in range(8):
        assert rate_factor(plan, 12 + epoch, 1, 4) == rate_factor(alone, epoch, 1, 4)


def test_fine_tuning_a_student_goes_on_with_the_steps_of_its_own_epochs():
    raml = RamlOptions(teacher_epochs=16, student_size=100)
    plan = replace(
        PLAN, method="raml", levels=(4,), raml=raml, schedule="step", step_epochs=2, step_factor=0.1
    )
    last, first = (rate_factor(plan, epoch, 0, 4) for epoch in (19, 20))
    assert last == pytest.approx(0.1)
    assert first == pytest.approx(0.1**2 * plan.finetune_lr_scale)  # one step on, and no more


def test_a_student_that_begins_by_fine_tuning_does_not_inherit_its_teachers_steps():
    raml = RamlOptions(teacher_epochs=20, student_size=100)
    plan = replace(PLAN, method="raml", levels=(4,), raml=raml, schedule="step", step_epochs=2)
    assert rate_factor(plan, 20, 0, 4) == plan.finetune_lr_scale
