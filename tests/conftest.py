"""Fixtures that more than one test file uses."""

import multiprocessing
import os
import tempfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from gan_repro.cifar10 import CIFAR10, load_cifar10
from gan_repro.config import TrainingConfig
from gan_repro.data import MNIST, load_mnist
from gan_repro.faces import Faces
from gan_repro.fer2013 import five_folds
from gan_repro.records import reproduce

REAL_PATH = os.environ["PATH"]
CLOSED = "http://127.0.0.1:1/"  # nothing listens on port 1


def as_root_without_rights() -> tuple:
    """A command's beginning that takes root's right to ignore a folder's permissions away; nothing for other users."""
    return ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()


@pytest.fixture(scope="session")
def mnist() -> MNIST:
    """The real digits, fetched once if they are not there: without them the tests that use them fail."""
    return load_mnist()


@pytest.fixture(scope="session")
def cifar10() -> CIFAR10:
    """The real photographs, fetched once if they are not there: without them the tests that use them fail."""
    return load_cifar10()


@pytest.fixture(scope="session")
def few_digits(mnist) -> MNIST:
    """The first real digits of each split, few enough to be sent to another process."""
    splits = {name: getattr(mnist, name)[:600].clone() for name in ("train", "valid", "test")}
    return replace(mnist, **splits)


@pytest.fixture(scope="session")
def made_faces() -> Faces:
    """140 faces of noise, of which 100 are unlabeled: for what does not depend on what a face looks like."""
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(256, (140, 2304), dtype=torch.uint8, generator=draws)
    folds = torch.cat([torch.zeros(100, 5, dtype=torch.uint8), five_folds(40)])
    return Faces(
        name="FER-2013", images=images, folds=folds, labels=torch.zeros(140, dtype=torch.int64), md5={"a": "0" * 32}
    )


@pytest.fixture(scope="session")
def tiny() -> TrainingConfig:
    """A run of 3 epochs of 12 steps on 600 digits: a fraction of a second, with every part of a real run in it."""
    return TrainingConfig(
        num_train=600,
        batch_size=50,
        num_z=8,
        num_hidden=24,
        num_units=12,
        num_pieces=3,
        num_valid=100,
        num_samples=50,
        lr=0.3,
        score_every=1,
        max_epochs=3,
    )


@pytest.fixture(scope="session")
def small() -> TrainingConfig:
    """A training of two epochs that takes a second."""
    return TrainingConfig(
        max_epochs=2, score_every=1, num_train=300, num_valid=200, num_samples=200, num_hidden=30, num_units=10
    )


@pytest.fixture(scope="module")
def small_run(small, mnist, tmp_path_factory):
    """That training with its record: (record, path, folder of runs)."""
    folder = tmp_path_factory.mktemp("results")
    record, path = reproduce(small, mnist, folder / "mnist", runs=folder / "runs", show=None)
    return record, path, folder / "runs"


@pytest.fixture(scope="session")
def processes():
    """Real processes that start fast: a server that has imported torch forks one for each test that wants one.

    Its first parameter is any function at the top of a test file.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gan_repro.training", "torch._dynamo", "pytest", "hypothesis"])
    return context


@pytest.fixture
def in_process(processes):
    """A function that runs another in a process of its own and returns that process; none outlives the test."""
    started = []

    def start(function, *arguments, **options):
        process = processes.Process(target=function, args=arguments, kwargs=options)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


class Mirror:
    """A web server on the loopback interface: files (path -> bytes) are what it has, asked is what it was asked for."""

    def __init__(self, files: dict[str, bytes]):
        mirror, self.files, self.asked = self, files, []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.lstrip("/")
                mirror.asked.append(name)
                self.send_response(200 if name in mirror.files else 404)
                self.end_headers()
                self.wfile.write(mirror.files.get(name, b""))

            def log_message(self, *args):
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files, empty, so that what is left there shows."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


@pytest.fixture
def npm_script(tmp_path, monkeypatch):
    """Puts a shell script in npm's place; $1 is view or pack."""

    def put(script: str) -> None:
        path = tmp_path / "bin" / "npm"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{REAL_PATH}")

    return put
