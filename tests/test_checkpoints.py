"""The one file that resuming needs: what goes in comes out bit for bit, and what is damaged is called so."""

import hashlib
import os
import pickle
import re

import pytest
import torch
from torch.testing import assert_close

from gan_repro.checkpoints import NAME, load_checkpoint, remove_unfinished, save_checkpoint

TENSORS = {
    "G": {"h0.weight": torch.randn(3, 4, generator=torch.Generator().manual_seed(0))},
    "ema": [torch.tensor([1e-45, -0.0, 3.4e38]), torch.arange(3)],  # a denormal number, a negative zero
    "optimizers": {"G": {"param_groups": [{"lr": 0.1, "params": [0, 1]}]}},
}
FACTS = {"step": 7, "history": [{"epoch": 1, "D_x": 0.1 + 0.2, "G": {"sigma": 1 / 3}}], "best": {}}


def test_there_is_no_checkpoint_in_an_empty_or_missing_folder(tmp_path):
    assert load_checkpoint(tmp_path) is None
    assert load_checkpoint(tmp_path / "missing") is None


def test_what_is_saved_is_loaded_bit_for_bit(tmp_path):
    save_checkpoint(tmp_path / "run", TENSORS, FACTS)
    tensors, facts = load_checkpoint(tmp_path / "run")
    assert_close(tensors, TENSORS, rtol=0, atol=0)
    assert torch.equal(tensors["ema"][0].view(torch.int32), TENSORS["ema"][0].view(torch.int32))
    assert facts == FACTS  # floats too: JSON keeps all their digits
    assert os.listdir(tmp_path / "run") == [NAME]


def test_a_later_checkpoint_replaces_an_earlier_one(tmp_path):
    for step in (1, 2):
        save_checkpoint(tmp_path, TENSORS, FACTS | {"step": step})
    assert load_checkpoint(tmp_path)[1]["step"] == 2


def test_a_loaded_checkpoint_does_not_depend_on_its_file(tmp_path):
    save_checkpoint(tmp_path, TENSORS, FACTS)
    tensors, _ = load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, {"G": {"h0.weight": torch.zeros(3, 4)}}, FACTS)
    assert torch.equal(tensors["G"]["h0.weight"], TENSORS["G"]["h0.weight"])


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, TENSORS, FACTS)

    def no_space(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path, TENSORS, FACTS | {"step": 8})
    assert load_checkpoint(tmp_path)[1]["step"] == 7
    assert os.listdir(tmp_path) == [NAME]


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def _hashed(content: bytes) -> bytes:
    return b"sha256 " + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def _torch_file(content):
    def write(path):
        torch.save(content, path)
        return _hashed(path.read_bytes())

    return write


DAMAGE = {
    "empty": lambda path: b"",
    "truncated": lambda path: path.read_bytes()[:-500],
    "halved": lambda path: path.read_bytes()[: path.stat().st_size // 2],
    "overwritten in the middle": lambda path: path.read_bytes()[:300] + bytes(400) + path.read_bytes()[700:],
    "text": lambda path: b"not a checkpoint\n",
    "a pickle that executes something": lambda path: _hashed(pickle.dumps(Malicious(), protocol=2)),
    "torch's, but without the hash": lambda path: path.read_bytes()[72:],
    "a flipped bit": lambda path: (
        path.read_bytes()[:2000] + bytes([path.read_bytes()[2000] ^ 1]) + path.read_bytes()[2001:]
    ),
    "torch's, but executing something": _torch_file({"tensors": Malicious(), "facts": "{}"}),
    "torch's, but without the facts": _torch_file({"tensors": {}}),
    "torch's, but of other make": _torch_file([1, 2]),
    "torch's, but with facts that are no JSON": _torch_file({"tensors": {}, "facts": "{"}),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_checkpoint_is_named_with_the_way_out_and_nothing_in_it_is_executed(tmp_path, monkeypatch, damage):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run"
    save_checkpoint(folder, TENSORS, FACTS)
    (folder / NAME).write_bytes(damage(folder / NAME))
    message = f"the checkpoint {folder / NAME} cannot be read .* Delete its folder {folder} to train"
    with pytest.raises(RuntimeError, match=message) as caught:
        load_checkpoint(folder)
    assert re.search(r"\([\w ]+\)", str(caught.value))  # the kind of damage
    assert not (tmp_path / "executed").exists()


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(tmp_path):
    (tmp_path / NAME).mkdir()
    with pytest.raises(RuntimeError, match=f"the checkpoint {tmp_path / NAME} cannot be read: Is a directory$"):
        load_checkpoint(tmp_path)


def test_what_a_killed_process_began_to_write_is_removed_and_nothing_else(tmp_path):
    save_checkpoint(tmp_path, TENSORS, FACTS)
    for name in (f".{NAME}.123-0a0b0c0d.tmp", ".seed0.json.123-0a0b0c0d.tmp"):
        (tmp_path / name).write_bytes(b"half")
    remove_unfinished(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".seed0.json.123-0a0b0c0d.tmp", NAME]
