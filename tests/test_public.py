"""The public face of the library: every name is there, and costs nothing before it is asked for."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import avsl_core

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", avsl_core.__all__)
def test_every_public_name_is_there(name):
    assert callable(getattr(avsl_core, name))


def test_no_module_hides_a_name():
    modules = {module.name for module in pkgutil.iter_modules(avsl_core.__path__)}
    assert modules.isdisjoint(avsl_core.__all__)


def test_a_name_is_the_one_of_its_module():
    assert avsl_core.load is importlib.import_module("avsl_core.checkpoint").load_checkpoint
    assert avsl_core.Hit is importlib.import_module("avsl_core.search.searcher").Hit


def test_the_names_are_listed():
    assert {"__doc__", *avsl_core.__all__} <= set(dir(avsl_core))


def test_an_unknown_name_is_an_error_that_names_it():
    with pytest.raises(AttributeError, match="'similarity'"):
        avsl_core.similarity  # noqa: B018


@pytest.mark.parametrize(
    "module", ["avsl_core", "avsl_core.errors", "avsl_core.memory", "app.settings", "app.front.supervisor"]
)
def test_what_computes_nothing_does_not_wait_for_the_networks(module):
    program = f"import sys, {module}; print('torch' in sys.modules, 'timm' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.split() == ["False", "False"]
