"""What the README says is run: its Python, its commands' options, its two first lines."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from avsl_core.cli.main import build_parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MEASUREMENTS = (ROOT / "docs" / "measurements.md").read_text(encoding="utf-8")
METHODS = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")


def blocks(language, text=README):
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def commands():
    lines = "\n".join([*blocks("bash"), *blocks("bash", METHODS)]).replace("\\\n", " ").splitlines()
    return [line for line in lines if "train_cli.py" in line]


def test_the_python_of_the_readme_runs(tmp_path):
    assert blocks("python")
    for number, block in enumerate(blocks("python")):
        (tmp_path / f"block{number}.py").write_text(block)
    # Each block has names of its own, as in a program of its own; the library is loaded once.
    program = "import gc, runpy, sys; [runpy.run_path(block) for block in sys.argv[1:]]; gc.freeze()"
    done = subprocess.run(
        [sys.executable, "-c", program, *sorted(tmp_path.glob("block*.py"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", commands())
def test_the_commands_of_the_readme_are_understood(command):
    words = shlex.split(command, comments=True)
    arguments = words[words.index("train_cli.py") + 1 :] if "train_cli.py" in words else None
    assert arguments is not None, command
    if arguments != ["--help"]:
        assert callable(build_parser().parse_args(arguments).run)


def test_every_table_is_what_the_committed_benchmarks_say():
    spec = importlib.util.spec_from_file_location("tables", ROOT / "benchmarks" / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for table in module.tables():
        assert table in README or table in MEASUREMENTS
    for card, table in (("default", module.default_model()), ("aviary", module.aviary())):
        assert table in (ROOT / "checkpoints" / f"{card}.md").read_text(encoding="utf-8")


def test_every_picture_of_the_readme_is_there():
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).is_file(), picture


def test_the_continuous_check_runs_the_readmes_own_test_command():
    pattern = re.compile(r"^python3 -m venv .*pytest", flags=re.MULTILINE)
    assert len(pattern.findall(README)) == 1
    assert r"'^python3 -m venv .*pytest' README.md" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
