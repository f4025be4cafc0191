"""Memory that work has freed goes back to the system: after work, not without, and not for ever later."""

import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import resource, sys, time
import numpy as np
from app.site.spring_clean import SpringClean
from app.work.turnstile import Turnstile
from avsl_core.memory import keep_freed_memory
def held():
    pages = open("/proc/self/statm").read().split()[1]
    return int(pages) * resource.getpagesize() // 2**20
def is_given_back(before, seconds):
    until = time.monotonic() + seconds
    while held() > before - 150 and time.monotonic() < until:
        time.sleep(0.02)
    return held() <= before - 150
keep_freed_memory()
turnstile = Turnstile()
clean = SpringClean(turnstile, every_s=0.1, patience_s=0.1)
pieces = [np.ones(2**19, np.uint8) for _ in range(400)]
stay = pieces[::40]
clean.start()
before = held()
"""
_AFTER_WORK = """
with turnstile.turn():
    del pieces
print(is_given_back(before, 90))
"""
_BESIDE_WORK = """
with turnstile.turn():
    del pieces
    print(is_given_back(before, 90))
"""
_WITHOUT_WORK = """
del pieces
print(is_given_back(before, 1))
"""
_STOPPED = """
clean.stop()
with turnstile.turn():
    del pieces
print(is_given_back(before, 1))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
@pytest.mark.parametrize(
    ("work", "given_back"),
    [(_AFTER_WORK, True), (_BESIDE_WORK, True), (_WITHOUT_WORK, False), (_STOPPED, False)],
    ids=["after work", "beside work without end", "without work", "stopped"],
)
def test_memory_goes_back(work, given_back):
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM + work], capture_output=True, text=True, check=True, timeout=300
    )
    assert ended.stdout.strip() == str(given_back)
