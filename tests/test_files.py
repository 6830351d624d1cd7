"""gan_repro.files: a file is whole or not there, whatever stops the writing."""

import os
import stat
import subprocess
import sys
import time

from gan_repro.files import md5_of, sha256_of, write_atomically
from gan_repro.paths import ROOT


def test_bytes_and_text_are_written_and_parents_made(tmp_path):
    write_atomically(tmp_path / "a" / "b" / "bytes", b"\x00\xff")
    write_atomically(tmp_path / "text", "σ = 0.2\n")
    assert (tmp_path / "a" / "b" / "bytes").read_bytes() == b"\x00\xff"
    assert (tmp_path / "text").read_bytes() == b"\xcf\x83 = 0.2\n"


def test_a_new_file_replaces_the_old_and_leaves_nothing_beside_it(tmp_path):
    for text in ("old", "new"):
        write_atomically(tmp_path / "file", text)
    assert (tmp_path / "file").read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]


def test_a_new_file_has_the_rights_that_any_new_file_gets(tmp_path):
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", b"")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_temporary_one(tmp_path):
    (tmp_path / "file").write_text("old")
    limited = (
        "import resource, sys; from gan_repro.files import write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_atomically(sys.argv[1], bytes(2000))"
    )
    command = [sys.executable, "-c", limited, tmp_path / "file"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert "File too large" in run.stderr
    assert (tmp_path / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_readers_at_any_moment_and_after_kill_minus_9_find_one_whole_version(tmp_path):
    path, n_bytes = tmp_path / "file", 5_000_000
    versions = {b"a" * n_bytes, b"b" * n_bytes}
    endless = (
        "import sys; from gan_repro.files import write_atomically\n"
        "while True:\n"
        "    for letter in (b'a', b'b'): write_atomically(sys.argv[1], letter * int(sys.argv[2]))"
    )
    process = subprocess.Popen([sys.executable, "-c", endless, path, str(n_bytes)], cwd=ROOT)
    seen = []
    try:
        deadline = time.monotonic() + 60
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        while len(seen) < 200:
            seen.append(path.read_bytes() in versions)
    finally:
        process.kill()
        process.wait()
    assert all(seen)
    assert path.read_bytes() in versions


def test_hashes_of_abc_are_the_published_ones(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert md5_of(tmp_path / "abc") == "900150983cd24fb0d6963f7d28e17f72"  # RFC 1321, A.5
    assert sha256_of(tmp_path / "abc") == (  # FIPS 180-2, B.1
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
