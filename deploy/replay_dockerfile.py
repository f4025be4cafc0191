"""Does what the Dockerfile says, without a Docker engine: in an empty folder instead of a container.

    python deploy/replay_dockerfile.py FOLDER [--python .venv/bin/python] [--port 7860]

Reads the Dockerfile itself. COPY copies what it lists and no more, so that a forgotten file shows; pip
installs into a fresh virtual environment (minutes, and some gigabytes; `--python` takes an interpreter that
has all packages instead); CMD runs as an ordinary user, if this one may become another; then HEALTHCHECK's
own command is asked until it says that all is well. What belongs to the system (apt-get, useradd, chown) is
left out and named. Ends with 0 if the server was well and stopped when it was told to.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from dockerfile import DockerfileError, Health, Ignored, Step, command_of, health_of, read_steps, words_of

ROOT = Path(__file__).resolve().parent.parent
_SYSTEM = ("apt-get", "useradd", "chown", "rm -rf /var")
_USER = 1000
_STOP_S = 30.0


class Replay:
    """A folder that stands for a container's file system.

    Args:
        context: Where the Dockerfile and what it copies lie.
        folder: Empty, or not there.
        python: An interpreter that has all packages; None installs them.
        port: That the server is told to use; None leaves the Dockerfile's.
    """

    def __init__(
        self, context: Path, folder: Path, *, python: Path | None = None, port: int | None = None
    ) -> None:
        self.context, self.folder = context, folder.resolve()
        self._given, self._port = python, port
        self._directory = "/"
        self._variables: dict[str, str] = {}
        self._user = "root"
        self._health: Health | None = None
        self._command: list[str] = []
        ignore = context / ".dockerignore"
        self._ignored = Ignored.read(ignore.read_text(encoding="utf-8") if ignore.exists() else "")

    def prepare(self) -> None:
        """Do every step but the last.

        Raises:
            DockerfileError: If a step fails, or cannot be replayed.
        """
        if self.folder.exists() and any(self.folder.iterdir()):
            raise DockerfileError(f"{self.folder}: is not empty; give a folder that is")
        self.folder.mkdir(parents=True, exist_ok=True)
        for step in read_steps((self.context / "Dockerfile").read_text(encoding="utf-8")):
            _say(f"line {step.line}: {step.word} {step.text}")
            getattr(self, f"_do_{step.word.lower()}")(step)

    def serve(self) -> float:
        """Run the command until it is well, then stop it.

        Returns:
            Seconds from its start until it was well.

        Raises:
            DockerfileError: If it does not become well, or does not stop.
        """
        if self._health is None or not self._command:
            raise DockerfileError("Dockerfile: has no HEALTHCHECK, or no CMD")
        if self._is_well(self._health):
            raise DockerfileError("another server answers at this port already; give another one with --port")
        around = self._surroundings()
        if self._user != "root":
            another = f"user {around['user']}" if "user" in around else "this user, who cannot become another"
            _say(f"  {self._user} is {another}")
        process = subprocess.Popen(self._words(self._command), **around)
        began = time.monotonic()
        try:
            self._until_well(process, self._health)
            well_after = time.monotonic() - began
            process.send_signal(signal.SIGTERM)
            status = process.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired as error:
            raise DockerfileError(f"the server did not stop within {_STOP_S:g} seconds") from error
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if status not in (0, -signal.SIGTERM):
            raise DockerfileError(f"the server ended with status {status} when it was told to stop")
        return well_after

    def inside(self, path: str) -> Path:
        """Where a path of the container lies here."""
        return self.folder / os.path.join(self._directory, path).lstrip("/")

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in the container's folder and surroundings."""
        return subprocess.run(
            self._words(list(words)), **self._surroundings(), capture_output=True, text=True, check=False
        )

    def _do_from(self, step: Step) -> None:
        have = f"{sys.version_info.major}.{sys.version_info.minor}"
        if self._given is None and f"python:{have}" not in step.text:
            raise DockerfileError(
                f"line {step.line}: {step.text}, but this is Python {have}; run it with that"
            )

    def _do_run(self, step: Step) -> None:
        commands = [part.strip() for part in step.text.split("&&")]
        for command in commands:
            if command.startswith(_SYSTEM):
                _say(f"  left out, of the system: {command}")
            elif command.startswith("pip install"):
                self._install(command)
            else:
                self._run(step, command)

    def _do_workdir(self, step: Step) -> None:
        self._directory = os.path.join(self._directory, step.text)
        self.inside("").mkdir(parents=True, exist_ok=True)

    def _do_copy(self, step: Step) -> None:
        *sources, target = words_of(step.text)
        for source in sources:
            origin = self.context / source
            if not origin.exists():
                raise DockerfileError(f"line {step.line}: COPY {source}: there is no such file")
            several = target.endswith("/") or target == "." or len(sources) > 1
            if origin.is_dir():
                self._copy_folder(origin, self.inside(target))
            else:
                place = self.inside(target) / origin.name if several else self.inside(target)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(origin, place)

    def _do_user(self, step: Step) -> None:
        self._user = step.text

    def _do_env(self, step: Step) -> None:
        for word in words_of(step.text):
            name, _, value = word.partition("=")
            self._variables[name] = str(self.inside(value)) if value.startswith("/") else value
        if self._port is not None and "AVSL_PORT" in self._variables:
            self._variables["AVSL_PORT"] = str(self._port)

    def _do_volume(self, step: Step) -> None:
        for word in words_of(step.text):
            self.inside(word).mkdir(parents=True, exist_ok=True)

    def _do_expose(self, step: Step) -> None:
        """Nothing to do."""

    def _do_healthcheck(self, step: Step) -> None:
        self._health = health_of(step.text)

    def _do_cmd(self, step: Step) -> None:
        self._command = command_of(step.text)

    def _copy_folder(self, origin: Path, target: Path) -> None:
        for file in sorted(origin.rglob("*")):
            path = file.relative_to(self.context).as_posix()
            if file.is_file() and not self._ignored.has(path):
                place = target / file.relative_to(origin)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, place)

    def _install(self, command: str) -> None:
        if self._given is not None:
            _say(f"  left out, for {self._given} has them: {command}")
            return
        venv.create(self.folder / "venv", with_pip=True, clear=True)
        words = [str(self._python), "-m", "pip", *command.split()[1:]]
        if subprocess.run(words, cwd=self.inside(""), check=False).returncode != 0:
            raise DockerfileError(f"{command}: failed")

    def _run(self, step: Step, command: str) -> None:
        words = [self._here(word) for word in shlex.split(command)]
        done = self.run(*words)
        if done.returncode != 0:
            raise DockerfileError(f"line {step.line}: {command}: failed: {done.stderr.strip()[-500:]}")

    def _here(self, word: str) -> str:
        return str(self.inside(word)) if word.startswith("/") else word

    @property
    def _python(self) -> Path:
        # Not resolved: the link's own place tells Python which packages it has.
        return (self._given or self.folder / "venv" / "bin" / "python").absolute()

    def _words(self, words: list[str]) -> list[str]:
        return [str(self._python), *words[1:]] if words[0] == "python" else words

    def _surroundings(self) -> dict[str, object]:
        """What a container's process sees: its folder, its variables, nothing of this shell's."""
        home = self.folder / "home" / self._user if self._user != "root" else self.folder / "root"
        home.mkdir(parents=True, exist_ok=True)
        path = f"{self._python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        variables = {"PATH": path, "HOME": str(home), **self._variables}
        around: dict[str, object] = {"cwd": self.inside(""), "env": variables}
        if self._user != "root" and os.geteuid() == 0 and self._may_become_another():
            for place in [home, *map(Path, self._variables.values())]:
                if place.is_relative_to(self.folder) and place.is_dir():
                    os.chown(place, _USER, _USER)
            around |= {"user": _USER, "group": _USER, "extra_groups": []}
        return around

    def _may_become_another(self) -> bool:
        """Whether an ordinary user can run the interpreter, which may lie in a folder of root's."""
        words = [str(self._python), "-c", ""]
        try:
            done = subprocess.run(
                words,
                user=_USER,
                group=_USER,
                extra_groups=[],
                cwd=self.inside(""),
                capture_output=True,
                check=False,
            )
        except OSError:
            return False
        return done.returncode == 0

    def _until_well(self, process: "subprocess.Popen[bytes]", health: Health) -> None:
        patience = health.start_s + health.retries * health.interval_s
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise DockerfileError(f"the server ended with status {process.returncode} before it was well")
            if self._is_well(health):
                return
            time.sleep(1.0)
        raise DockerfileError(f"the server was not well within {patience:g} seconds")

    def _is_well(self, health: Health) -> bool:
        try:
            done = subprocess.run(
                self._words(health.command),
                **self._surroundings(),
                capture_output=True,
                timeout=health.timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def main() -> int:
    """Replay the project's Dockerfile."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="empty, or not there; it is not deleted afterwards")
    parser.add_argument("--python", type=Path, help="an interpreter that has all packages")
    parser.add_argument("--port", type=int, help="if the Dockerfile's is taken here")
    options = parser.parse_args()
    replay = Replay(ROOT, options.folder, python=options.python, port=options.port)
    try:
        replay.prepare()
        seconds = replay.serve()
    except DockerfileError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"well after {seconds:.1f} s, and stopped when told to")
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
