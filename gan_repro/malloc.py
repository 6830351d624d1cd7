"""What becomes of memory that tensors on the CPU free."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_freed_memory() -> bool:
    """Have this process keep freed memory for its next tensors, until it ends. Returns whether the C library can.

    glibc gives blocks of more than 32 MB back to the system as soon as they are free. The gradients of the larger pairs
    are hundreds of megabytes, and at every step the system cleared as many for the new ones. On glibc alone; elsewhere
    nothing happens.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and mallopt(M_MMAP_MAX, 0) == 1 and mallopt(M_TRIM_THRESHOLD, -1) == 1
