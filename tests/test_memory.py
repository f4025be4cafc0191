"""keep_freed_memory: changes the process's allocator where that is glibc, and nothing elsewhere."""

import platform
import subprocess
import sys

from avsl_core.memory import keep_freed_memory

_PROGRAM = """
import resource, sys
import numpy as np
from avsl_core.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def faults():
    for _ in range(5):
        np.ones(64 * 2**20, np.uint8).sum()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
faults()
before = faults()
print(faults() - before)
"""


def page_faults(mode):
    done = subprocess.run([sys.executable, "-c", _PROGRAM, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_freed_memory_is_used_again_without_new_pages():
    if platform.libc_ver()[0] == "glibc":
        assert page_faults("keep") < page_faults("plain") / 10


def test_says_no_on_other_c_libraries(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
