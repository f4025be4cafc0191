import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "deploy"))
import audit

FLAW = {"id": "CVE-1", "fix_versions": ["2"]}


@pytest.fixture
def answering(monkeypatch):
    """Have the database give these answers, one after the other: text as pip-audit prints it."""

    def answer(*answers):
        left = list(answers)

        def run(command, **_):
            assert command[:3] == [sys.executable, "-m", "pip_audit"]
            return subprocess.CompletedProcess(command, 0, left.pop(0), "ConnectionError: no such host")

        monkeypatch.setattr(audit.subprocess, "run", run)

    return answer


def packages(*rows):
    return json.dumps({"dependencies": list(rows)})


KNOWS = packages({"name": "jinja2", "version": "2.4.1", "vulns": [FLAW]})
SKIPPED = packages({"name": "jinja2", "skip_reason": "not found"})


def test_a_vulnerable_package_fails_the_audit(answering, capsys):
    answering(KNOWS, packages({"name": "a", "version": "1", "vulns": [FLAW]}))
    assert audit.main() == 1
    assert "vulnerable: a 1: CVE-1; mended in 2" in capsys.readouterr().out


def test_a_clean_environment_passes_with_a_count(answering, capsys):
    sound = {"name": "a", "version": "1", "vulns": []}
    answering(KNOWS, packages(sound, {"name": "avsl", "skip_reason": "not on the index"}))
    assert audit.main() == 0
    out = capsys.readouterr().out
    assert "1 packages audited by pypi, 0 with known vulnerabilities" in out
    assert "not audited: avsl" in out


@pytest.mark.parametrize("silent", ["", "no json", SKIPPED])
def test_a_database_that_cannot_be_reached_is_said_plainly(answering, capsys, silent):
    answering(silent, silent)
    assert audit.main() == 0
    assert capsys.readouterr().out.startswith("not audited: no advisory database can be asked from here")


def test_a_second_database_is_asked_when_the_first_is_silent(answering, capsys):
    answering("", KNOWS, packages({"name": "a", "version": "1", "vulns": []}))
    assert audit.main() == 0
    assert "audited by osv" in capsys.readouterr().out
