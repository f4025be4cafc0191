import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "deploy"))
from dockerfile import DockerfileError, Health, Ignored, Step, command_of, health_of, read_steps
from replay_dockerfile import Replay

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]

SERVER = """
import http.server, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.HTTPServer(("127.0.0.1", PORT), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.fixture
def context(tmp_path):
    """A small project that serves itself, with a Dockerfile to be completed."""
    folder = tmp_path / "project"
    (folder / "app" / "__pycache__").mkdir(parents=True)
    (folder / "app" / "__pycache__" / "old.pyc").write_bytes(b"")
    port = free_port()
    (folder / "app" / "serve.py").write_text(SERVER.replace("PORT", str(port)), encoding="utf-8")
    (folder / "app" / "helper.py").write_text("", encoding="utf-8")
    (folder / ".dockerignore").write_text("**/__pycache__\n", encoding="utf-8")
    check = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{port}/', timeout=20)"
    health = f'HEALTHCHECK --interval=1s --start-period=120s CMD ["python", "-c", "{check}"]\n'
    return folder, health


def replay(context, folder, text):
    (context / "Dockerfile").write_text(text, encoding="utf-8")
    done = Replay(context, folder / "image", python=Path(sys.executable))
    done.prepare()
    return done


def test_continued_lines_are_one_step_and_comments_none():
    text = "FROM a\n# a comment\n\nRUN one && \\\n    # inside\n    two\ncmd x\n"
    assert read_steps(text) == [Step(1, "FROM", "a"), Step(4, "RUN", "one && two"), Step(7, "CMD", "x")]


def test_an_instruction_that_cannot_be_replayed_is_named():
    with pytest.raises(DockerfileError, match="line 2: ADD cannot be replayed"):
        read_steps("FROM a\nADD http://example.org/a /\n")


def test_commands_are_read_in_both_forms():
    assert command_of('["a", "b c"]') == ["a", "b c"]
    assert command_of("a b") == ["/bin/sh", "-c", "a b"]
    with pytest.raises(DockerfileError, match="no list"):
        command_of('["a", b]')


def test_the_health_check_is_read():
    text = '--interval=1m --timeout=500ms --start-period=1m --retries=2 CMD ["true"]'
    assert health_of(text) == Health(["true"], 60.0, 0.5, 60.0, 2)
    with pytest.raises(DockerfileError, match="has no CMD"):
        health_of("NONE")


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("tests/a/b.py", True),
        ("app/tests/a.py", False),
        ("app/x/__pycache__/a.pyc", True),
        ("app/a.py", False),
    ],
)
def test_what_is_ignored_stays_out(path, ignored):
    assert Ignored.read("tests\n**/__pycache__\n").has(path) is ignored


def test_a_project_is_served_from_its_copy(context, tmp_path):
    project, health = context
    text = f"FROM python:3.11\nWORKDIR /srv\nCOPY app app\n{health}" + 'CMD ["python", "app/serve.py"]\n'
    done = replay(project, tmp_path, text)
    copied = {str(path.relative_to(done.inside(""))) for path in done.inside("").rglob("*") if path.is_file()}
    assert copied == {"app/serve.py", "app/helper.py"}
    assert done.serve() < 120


def test_a_forgotten_file_shows(context, tmp_path):
    project, health = context
    text = (
        f"FROM python:3.11\nWORKDIR /srv\nCOPY app/helper.py app/\n{health}"
        + 'CMD ["python", "app/serve.py"]\n'
    )
    with pytest.raises(DockerfileError, match="ended with status 2 before it was well"):
        replay(project, tmp_path, text).serve()


def test_a_file_that_is_not_there_cannot_be_copied(context, tmp_path):
    with pytest.raises(DockerfileError, match="COPY nowhere: there is no such file"):
        replay(context[0], tmp_path, "FROM python:3.11\nCOPY nowhere .\n")


def test_a_step_that_fails_ends_the_replay(context, tmp_path):
    with pytest.raises(DockerfileError, match=r"(?s)line 2: python -c 1/0: failed: .*ZeroDivisionError"):
        replay(context[0], tmp_path, "FROM python:3.11\nRUN python -c 1/0\n")


def test_a_process_sees_the_variables_of_the_dockerfile_and_none_of_this_shell(
    context, tmp_path, monkeypatch
):
    monkeypatch.setenv("OF_THIS_SHELL", "yes")
    done = replay(context[0], tmp_path, "FROM python:3.11\nENV PLACE=/data NAME=x\n")
    seen = done.run("python", "-c", "import os; print(sorted(os.environ))").stdout
    assert "OF_THIS_SHELL" not in seen
    assert done.run("python", "-c", "import os; print(os.environ['PLACE'])").stdout.strip() == str(
        done.inside("/data")
    )


def test_the_projects_own_dockerfile_copies_all_that_is_imported(tmp_path):
    done = Replay(ROOT, tmp_path / "image", python=Path(sys.executable))
    done.prepare()
    loaded = done.run(
        "python",
        "-c",
        "import gc; gc.disable(); "
        "import app.server, app.front.supervisor, app.front.__main__, train_cli, avsl_core.cli.main; "
        "print(app.__file__); gc.freeze()",  # what was imported is not searched through at the end
    )
    assert loaded.returncode == 0, loaded.stderr[-2000:]
    assert loaded.stdout.startswith(str(tmp_path / "image"))
    assert not done.inside("tests").exists()
