"""Asks an advisory database about every installed package.

    python deploy/audit.py

Ends with 1 if a package has a known vulnerability. Where no database can be reached it ends with 0 and says
plainly that nothing was audited: a machine without a network can still be checked in all other ways, and
nobody takes its silence for a clean bill. pip-audit alone would say "no known vulnerabilities" then.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_SERVICES = ("pypi", "osv")
_KNOWN = "jinja2==2.4.1\n"  # with vulnerabilities that every database has had for years
_PATIENCE_S = 60
_WHOLE_S = 900


def main() -> int:
    """Audit the environment of this interpreter."""
    reasons = []
    for service in _SERVICES:
        problem = _why_not(service)
        if problem is None:
            return _report(service, _ask(service, ["--local"], _WHOLE_S))
        reasons.append(f"{service}: {problem}")
    print(f"not audited: no advisory database can be asked from here ({'; '.join(reasons)})")
    return 0


def _why_not(service: str) -> str | None:
    """Why a database cannot be trusted to answer; None if it knows what it must know."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "known.txt"
        file.write_text(_KNOWN, encoding="utf-8")
        found = _ask(service, ["-r", str(file), "--no-deps", "--disable-pip"], _PATIENCE_S)
    if isinstance(found, str):
        return found
    return (
        None
        if any(package.get("vulns") for package in found)
        else "knows nothing of a package with well-known flaws"
    )


def _ask(service: str, arguments: Sequence[str], seconds: float) -> list[dict[str, Any]] | str:
    """What the database says of each package, or why it says nothing."""
    command = [sys.executable, "-m", "pip_audit", "-s", service, "-f", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=seconds, check=False
        )
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return f"did not answer within {seconds:g} seconds"
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        return last[:200]
    return packages


def _report(service: str, found: list[dict[str, Any]] | str) -> int:
    if isinstance(found, str):
        print(f"not audited: {service}: {found}")
        return 0
    for package in found:
        if "skip_reason" in package:
            print(f"not audited: {package['name']}: {package['skip_reason']}")
        for flaw in package.get("vulns", []):
            fixed = ", ".join(flaw["fix_versions"]) or "no version yet"
            print(f"vulnerable: {package['name']} {package['version']}: {flaw['id']}; mended in {fixed}")
    audited = [package for package in found if "skip_reason" not in package]
    flawed = [package for package in audited if package["vulns"]]
    print(f"{len(audited)} packages audited by {service}, {len(flawed)} with known vulnerabilities")
    return 1 if flawed else 0


if __name__ == "__main__":
    sys.exit(main())
