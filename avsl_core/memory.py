"""Tells the C library when to keep memory that was freed, and when to give it back."""

import ctypes
import platform

__all__ = ["keep_freed_memory", "return_freed_memory"]

# From glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let the process keep the memory that it frees, for the next pass of the network in any thread.

    By default glibc maps every large tensor afresh and returns it to the system after use, so that each layer
    pays for clearing its pages again: on virtual machines half of the time of a pass
    (``benchmarks/allocator.py``). The price is that the process stays as large as it ever was.

    By default, too, every thread frees into a pool of its own, which other threads cannot take from: what is
    kept would be kept once for each thread that ever did a pass, and a server's threads come and go. Here all
    threads share one pool (``benchmarks/soak.py``).

    For programs, to be called at their start, before there are further threads; the library itself never
    calls it.

    Returns:
        Whether the C library is glibc and took the settings.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, _LARGEST), (_TOP_PAD, 256 * 2**20))
    return all(mallopt(option, value) == 1 for option, value in settings)


def return_freed_memory() -> bool:
    """Give the memory that is free at this moment back to the system, once.

    What :func:`keep_freed_memory` keeps is as much as was ever in use at once, and more: where pieces that
    stay lie between pieces that go, a large one needs new room. Called now and then, this leaves what is
    needed now; the next pass takes some hundredths of a second longer.

    Returns:
        Whether something was given back; False where the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    return bool(ctypes.CDLL(None).malloc_trim(0))
