"""What a wish for bf16 comes to, given what a CPU offers."""

import logging

import pytest
import torch

from avsl_core import precision
from avsl_core.precision import cpu_features, effective_precision, is_bf16_fast

CPU = torch.device("cpu")
SLOW, WIDE = frozenset({"AVX2"}), frozenset({"AVX512"})


@pytest.fixture(autouse=True)
def untold(monkeypatch):
    monkeypatch.setattr(precision, "_told", set())


@pytest.mark.parametrize(
    ("features", "fast"),
    [
        ({"AVX2"}, False),
        ({"DEFAULT"}, False),
        ({"NO AVX"}, False),
        (set(), False),
        ({"AVX512"}, True),
        ({"AVX2", "bf16"}, True),
        ({"DEFAULT", "bf16"}, True),
    ],
)
def test_bf16_is_fast_with_wide_vectors_or_instructions_of_its_own(features, fast):
    assert is_bf16_fast(features) is fast


def test_this_cpu_is_asked_where_no_features_are_given():
    assert is_bf16_fast() is is_bf16_fast(cpu_features())
    assert torch.backends.cpu.get_cpu_capability() in cpu_features()


def test_a_slow_cpu_works_in_float32_instead_of_bf16():
    assert effective_precision("bf16", CPU, features=SLOW) == "none"
    assert effective_precision("bf16", CPU, features=WIDE) == "bf16"


@pytest.mark.parametrize("wanted", ["none", "fp16"])
def test_other_precisions_are_left_alone(wanted):
    assert effective_precision(wanted, CPU, features=SLOW) == wanted


def test_what_the_cpu_offers_does_not_matter_to_a_gpu():
    assert effective_precision("bf16", torch.device("cuda"), features=SLOW) == "bf16"


def test_the_change_is_told_once(caplog):
    caplog.set_level(logging.INFO, logger="avsl_core.precision")
    for level in (logging.WARNING, logging.WARNING, logging.INFO):
        effective_precision("bf16", CPU, features=SLOW, level=level)
    (told,) = caplog.records
    assert told.levelno == logging.WARNING
    assert "working in float32" in told.message


def test_the_change_is_told_again_only_if_louder(caplog):
    caplog.set_level(logging.INFO, logger="avsl_core.precision")
    for level in (logging.INFO, logging.WARNING, logging.WARNING):
        effective_precision("bf16", CPU, features=SLOW, level=level)
    assert [told.levelno for told in caplog.records] == [logging.INFO, logging.WARNING]


def test_nothing_is_told_where_the_wish_is_granted(caplog):
    effective_precision("bf16", CPU, features=WIDE)
    effective_precision("none", CPU, features=SLOW)
    assert not caplog.records
