"""Freed memory is kept for the next pass, and given back when asked, where the C library is glibc."""

import platform
import subprocess
import sys

import pytest

from avsl_core import memory
from avsl_core.memory import keep_freed_memory, return_freed_memory

_START = """
import resource, runpy, sys
from threading import Thread
import numpy as np
module = runpy.run_path(sys.argv[2])  # alone: the whole library takes long to load
keep_freed_memory, return_freed_memory = module["keep_freed_memory"], module["return_freed_memory"]
if sys.argv[1] == "keep":
    assert keep_freed_memory()
"""
_ONE_THREAD = """
def faults():
    for _ in range(5):
        np.ones(64 * 2**20, np.uint8).sum()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
faults()
before = faults()
print(faults() - before)
"""
# Each thread is still there while the next one works, so that none takes over another's pool.
_MANY_THREADS = """
def work(left):
    pieces = [np.ones(2**20, np.uint8) for _ in range(48)]
    del pieces
    if left:
        next = Thread(target=work, args=(left - 1,))
        next.start()
        next.join()
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
first = Thread(target=work, args=(0,))
first.start()
first.join()
before = peak()
work(5)
print(peak() - before)
"""
# Between the pieces that go lie some that stay, so that the end of the heap stays where it is.
_RETURNED = """
def held():
    pages = open("/proc/self/statm").read().split()[1]
    return int(pages) * resource.getpagesize() // 2**20
pieces = [np.ones(2**19, np.uint8) for _ in range(400)]
stay = pieces[::40]
del pieces
before = held()
if sys.argv[1] == "keep":
    assert return_freed_memory()
print(before - held())
"""
glibc_only = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries are left alone")


def printed(program, mode):
    command = [sys.executable, "-c", _START + program, mode, memory.__file__]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@glibc_only
def test_freed_memory_is_used_again_without_new_pages():
    assert printed(_ONE_THREAD, "keep") < printed(_ONE_THREAD, "plain") / 10


@glibc_only
def test_what_one_thread_freed_the_next_one_uses():
    assert printed(_MANY_THREADS, "keep") < 48  # megabytes; six threads with a pool of their own keep 288


@glibc_only
def test_kept_memory_is_given_back_when_asked():
    assert printed(_RETURNED, "keep") > 150  # megabytes, of 190 that were free


def test_says_no_on_other_c_libraries(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
    assert not return_freed_memory()
