import platform
import subprocess
import sys

import pytest

FILL = """
import resource, torch
from gan_repro.malloc import keep_freed_memory
{first}
torch.ones(2**26)  # 256 MB, freed at once
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(2**25)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(first: str) -> int:
    """Of filling 128 MB where more was freed just before, in a process of its own."""
    command = [sys.executable, "-c", FILL.format(first=first)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_is_used_again():
    least = 128 // 2  # of pages, were all of them large ones of 2 MB
    assert page_faults("") >= least
    assert page_faults("assert keep_freed_memory()") < least / 10
