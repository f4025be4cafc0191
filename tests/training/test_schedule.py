from dataclasses import replace

import pytest

from avsl_core.training import TrainConfig
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
