"""What may befall a run from outside, for real: kill -9 in the middle of a write, a full disk, a folder that is closed.

Nothing finished is lost, nothing half-written is taken for whole, and a sentence says what to do. (Faults of one module
alone are tested with it: docs/faults.md lists all.)
"""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from conftest import as_root_without_rights

from gan_repro.checkpoints import load_checkpoint
from gan_repro.download import MNIST_DATA, MNIST_FILES, DataError, fetch_mnist
from gan_repro.paths import ROOT, data_dir
from gan_repro.records import read_generator, read_record, reproduce
from gan_repro.results import ResultsError
from gan_repro.training import run_folder, train

UNCHANGING = ("config", "data_md5", "metrics", "history", "weights", "epochs", "stopped_by")


def same(record):
    return {key: record[key] for key in UNCHANGING}


def reproduce_here(config, digits, folder, hang_at=None, largest_file=None):
    """What a process of its own does: make a record, with what is printed, a traceback too, in folder/output.

    hang_at: stop before the first rename to a file whose name ends so, its temporary file being whole.
    largest_file: a limit in bytes, which any larger file meets as it would meet a full disk.
    """
    sys.stdout = sys.stderr = open(folder / "output", "w", buffering=1)  # noqa: SIM115
    rename = os.replace

    def hang(source, target):
        if str(target).endswith(hang_at):
            (folder / "hangs").touch()
            time.sleep(600)
        rename(source, target)

    if hang_at:
        os.replace = hang
    if largest_file:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    reproduce(config, digits, folder / "results" / "mnist", runs=folder / "runs", show=None)


@pytest.fixture
def start(in_process, few_digits, tmp_path):
    """A function that starts reproduce_here in another process."""
    return lambda config, **options: in_process(reproduce_here, config, few_digits, tmp_path, **options)


def kill_when_it_hangs(process, folder):
    deadline = time.monotonic() + 120
    while not (folder / "hangs").exists():
        assert process.is_alive() and time.monotonic() < deadline, "it never came to the write"
        time.sleep(0.01)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (folder / "hangs").unlink()


def last_line(folder):
    return (folder / "output").read_text().rstrip().splitlines()[-1]


@pytest.mark.parametrize("half_written", ["checkpoint.pt", "seed0.safetensors", "seed0.json"])
def test_kill_9_in_the_middle_of_any_write_costs_that_write_alone(
    start, tiny, few_digits, tmp_path, tmp_path_factory, half_written
):
    whole, _ = reproduce(tiny, few_digits, tmp_path_factory.mktemp("whole") / "mnist", runs=tmp_path / "w", show=None)
    kill_when_it_hangs(start(tiny, hang_at=half_written), tmp_path)
    assert list(tmp_path.rglob(f".{half_written}.*.tmp"))  # it was in the middle
    assert not (tmp_path / "results" / "mnist" / "seed0.json").exists()
    record, path = reproduce(tiny, few_digits, tmp_path / "results" / "mnist", runs=tmp_path / "runs", show=None)
    assert same(record) == same(whole)
    assert read_generator(path)
    assert not list((tmp_path / "runs").rglob("*.tmp"))


def test_kill_9_between_new_weights_and_their_record_is_noticed_and_mended(start, tiny, few_digits, tmp_path):
    folder = tmp_path / "results" / "mnist"
    shorter = replace(tiny, max_epochs=2)
    reproduce(shorter, few_digits, folder, runs=tmp_path / "runs", show=None)
    kill_when_it_hangs(start(tiny, hang_at="seed0.json"), tmp_path)  # the longer run takes the place of the shorter
    with pytest.raises(ResultsError, match="their hash differs; restore both files from git if they are kept there"):
        read_generator(folder / "seed0.json")
    record, path = reproduce(tiny, few_digits, folder, runs=tmp_path / "runs", show=None)
    assert record["epochs"] == 3 and read_generator(path)


def test_a_disk_too_full_for_a_checkpoint_stops_the_run_in_a_sentence_and_keeps_the_one_before(
    start, tiny, few_digits, tmp_path
):
    first = train(replace(tiny, max_epochs=1), few_digits, runs=tmp_path / "runs", show=None)
    size = (first.folder / "checkpoint.pt").stat().st_size
    process = start(tiny, largest_file=size + 100)  # the next checkpoint has a longer history
    process.join(120)
    assert process.exitcode == 1
    folder = run_folder(tiny, few_digits.md5, tmp_path / "runs")
    said = (
        "RuntimeError: the checkpoint of step 24 cannot be written: File too large. The last good checkpoint, of the "
    )
    assert last_line(tmp_path) == f"{said}end of epoch 1, is in {folder}. Make room and run this again."
    assert load_checkpoint(folder)[1]["step"] == 12
    assert os.listdir(folder).count("checkpoint.pt") == 1 and not list(folder.glob(".*.tmp"))
    assert train(tiny, few_digits, runs=tmp_path / "runs", show=None).epochs == 3


def test_a_disk_too_full_for_a_record_says_where_the_training_is_kept(start, tiny, few_digits, tmp_path):
    folder = train(tiny, few_digits, runs=tmp_path / "runs", show=None).folder
    process = start(tiny, largest_file=1000)
    process.join(120)
    assert process.exitcode == 1
    weights = tmp_path / "results" / "mnist" / "seed0.safetensors"
    said = f"{weights} cannot be written: File too large; the finished training is safe in {folder}: mend this and "
    assert last_line(tmp_path).endswith(f"ResultsError: {said}run it again, it will not train")
    assert not list((tmp_path / "results").rglob("*seed0*"))


WITHOUT_RIGHTS = """
import sys
from dataclasses import fields, replace
from pathlib import Path
from gan_repro.config import TrainingConfig
from gan_repro.data import load_mnist
from gan_repro.records import reproduce
mnist = load_mnist()
few = replace(mnist, **{name: getattr(mnist, name)[:600].clone() for name in ("train", "valid", "test")})
reproduce(eval(sys.argv[1]), few, Path(sys.argv[2]), runs=Path(sys.argv[3]), show=None)
"""


def last_line_without_rights(config, results, runs):
    """The last line of what reproduce prints, run by somebody whom a closed folder stops (root it does not)."""
    command = [*as_root_without_rights(), sys.executable, "-c", WITHOUT_RIGHTS, repr(config), results, runs]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 1
    return run.stderr.rstrip().splitlines()[-1]


def test_a_closed_results_folder_is_named_with_where_the_training_is_kept(tiny, few_digits, tmp_path):
    runs, results = tmp_path / "runs", tmp_path / "results" / "mnist"
    train(tiny, few_digits, runs=runs, show=None)
    results.mkdir(parents=True)
    results.chmod(0o555)
    said = last_line_without_rights(tiny, results, runs)
    assert "seed0.safetensors cannot be written: Permission denied; the finished training is safe in " in said
    results.chmod(0o755)
    record, _ = reproduce(tiny, few_digits, results, runs=runs, show=None)
    assert record["epochs"] == 3


def test_a_closed_folder_of_runs_is_named(tiny, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    runs.chmod(0o555)
    said = last_line_without_rights(tiny, tmp_path / "results" / "mnist", runs)
    assert "RuntimeError: the run cannot be kept in " in said
    assert said.endswith("Permission denied; give it another place")


# Two hundred corruptions

KINDS = {
    "a flipped bit": lambda data, at, rng: data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :],
    "cut short": lambda data, at, rng: data[:at],
    "a hole of zeros": lambda data, at, rng: data[:at] + bytes(64) + data[at + 64 :],
    "a byte lost": lambda data, at, rng: data[:at] + data[at + 1 :],
    "a byte too many": lambda data, at, rng: data[:at] + b"\x07" + data[at:],
}


@pytest.fixture(scope="module")
def a_run(tiny, few_digits, tmp_path_factory):
    """A finished run with its record: (path of the record, folder of the run)."""
    folder = tmp_path_factory.mktemp("a run")
    _, path = reproduce(tiny, few_digits, folder / "mnist", runs=folder / "runs", show=None)
    return path, run_folder(tiny, few_digits.md5, folder / "runs")


def corrupted(data, number):
    """The number-th corruption of data: another place and kind each time, the same in every run of the tests."""
    rng = random.Random(number)
    name = list(KINDS)[number % len(KINDS)]
    changed = data
    while changed == data:  # zeros may fall on zeros
        changed = KINDS[name](data, rng.randrange(len(data)), rng)
    return changed


@pytest.mark.parametrize("number", range(50))
def test_no_corruption_of_a_results_file_is_accepted(a_run, tmp_path, number):
    path, _ = a_run
    copy = tmp_path / path.name
    copy.write_bytes(corrupted(path.read_bytes(), number))
    with pytest.raises(
        ResultsError,
        match=r"the results file \S+ is damaged: .*; restore it from git if it is kept there, or remove it",
    ):
        read_record(copy)


@pytest.mark.parametrize("number", range(50))
def test_no_corruption_of_a_weights_file_is_accepted(a_run, tmp_path, number):
    path, _ = a_run
    weights = path.with_suffix(".safetensors")
    shutil.copy(path, tmp_path)
    (tmp_path / weights.name).write_bytes(corrupted(weights.read_bytes(), number))
    with pytest.raises(ResultsError, match=r"the weights \S+ are not those of seed0.json: their hash differs; restore"):
        read_generator(tmp_path / path.name)


@pytest.mark.parametrize("number", range(50))
def test_no_corruption_of_a_checkpoint_is_accepted(a_run, tmp_path, number):
    _, folder = a_run
    (tmp_path / "checkpoint.pt").write_bytes(corrupted((folder / "checkpoint.pt").read_bytes(), number))
    with pytest.raises(RuntimeError, match=r"the checkpoint \S+ cannot be read \(its contents .*Delete its folder"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("number", range(50))
@pytest.mark.filterwarnings("ignore:.* fetched again")
def test_no_corruption_of_the_data_is_accepted(mnist, tmp_path, monkeypatch, number):
    no_sources = MNIST_DATA._replace(sources=lambda folder, found: [])
    monkeypatch.setattr("gan_repro.download.MNIST_DATA", no_sources)
    bad = list(MNIST_FILES)[number % len(MNIST_FILES)]
    for name in MNIST_FILES:
        (tmp_path / name).symlink_to(data_dir() / "mnist" / name)
    data = (tmp_path / bad).read_bytes()
    (tmp_path / bad).unlink()
    (tmp_path / bad).write_bytes(corrupted(data, number))
    with pytest.raises(DataError, match=f"(?s)no source gave {bad}.*{bad} is (corrupt|truncated).*By hand") as caught:
        fetch_mnist(tmp_path)
    assert f"set aside as {bad}.bad" in str(caught.value)
