"""docs/api.md is true: its examples run as they are written, and answer with the keys that it shows."""

import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from app.api.errors import CODES
from app.api.service import ServiceLimits
from app.door.refusals import CODES as DOOR_CODES

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
ANSWERED = [
    (code, answer) for (kind, code), (after, answer) in pairwise(BLOCKS) if (kind, after) == ("sh", "json")
]
COMMANDS = [code for kind, code in BLOCKS if kind == "sh"]
PROGRAMS = [code for kind, code in BLOCKS if kind == "python"]


@pytest.fixture
def at_hand(files, tmp_path, monkeypatch):
    """The pictures that the examples speak of lie in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("one.jpg", "two.jpg"):
        shutil.copy(files["one.png" if name == "one.jpg" else "two.jpg"], tmp_path / name)
    return tmp_path


@pytest.fixture
def here(address):
    """The app itself, as it is started, in place of the address that the examples name."""
    return lambda code: code.replace("http://localhost:7860", address)


def run(code):
    done = subprocess.run(["bash", "-ec", code], check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shape(value):
    """The keys of an answer, however deep; of lists the first element's; of names that vary none."""
    if isinstance(value, dict):
        return {key: None if key == "parts" else shape(part) for key, part in value.items()}
    return [shape(part) for part in value[:1]] if isinstance(value, list) else None


def test_there_is_an_example_of_everything():
    assert (len(COMMANDS), len(ANSWERED), len(PROGRAMS)) == (8, 7, 2)
    assert {kind for kind, _ in BLOCKS} == {"sh", "json", "python"}


@pytest.mark.parametrize("code", COMMANDS)
def test_commands_run(at_hand, here, code):
    out = run(here(code))
    assert (
        (at_hand / "report.png").read_bytes().startswith(b"\x89PNG") if "report" in code else json.loads(out)
    )


@pytest.mark.parametrize("code, answer", ANSWERED)
def test_answers_have_the_keys_shown(at_hand, here, code, answer):
    shown, found = json.loads(answer), json.loads(run(here(code)))
    assert shape(found) == shape(shown)
    if "error" in shown:
        assert found == shown


@pytest.mark.parametrize("code", PROGRAMS)
def test_programs_run(at_hand, here, code, capsys):
    program = compile(here(code), "docs/api.md", "exec")
    # In a thread of its own: a browser test before may have left its loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(exec, program, {"__name__": "__main__"}).result()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert any("0." in line for line in lines)


def test_the_configuration_leads_to_the_tools():
    found = [json.loads(code) for kind, code in BLOCKS if kind == "json" and "mcpServers" in code]
    programs = "".join(PROGRAMS)
    assert [server["mcpServers"]["avsl"]["url"] in programs for server in found] == [True]


def test_lists_every_code_and_no_other():
    rows = re.findall(r"^\| (\d{3}) \| (.*) \|$", TEXT, re.MULTILINE)
    listed = {(code, int(status)) for status, words in rows for code in re.findall(r"`(\w+)`", words)}
    assert listed == {(code, status) for code, (status, _) in CODES.items()}
    door = re.search(r"The door in front.*?form\.", TEXT, re.DOTALL).group()
    assert set(re.findall(r"`(\w+)`", door)) == {
        code for status, code in DOOR_CODES.items() if status not in (400, 404, 405, 411, 413, 429, 500)
    }


def test_limits_are_those_of_the_app():
    limits = ServiceLimits()
    assert f"A picture may weigh {limits.picture_bytes // 2**20} MB" in TEXT
    assert f"a request may weigh {limits.request_bytes // 2**20} MB" in TEXT
    assert f"2 to {limits.pictures} pictures" in TEXT
    assert f"1 to {limits.neighbours} neighbours" in TEXT
