"""The format of results files: what is written is read, and what was changed, lost or never meant is refused."""

import json
import math
import random
import re

import pytest

from gan_repro.paths import RESULTS
from gan_repro.records import read_generator, read_record
from gan_repro.results import SCHEMA, ResultsError, encode, nats, read_results, write_results

SCORE = {"sigma": 0.2, "log_likelihood": 225.0, "standard_error": 2.0}
CONTENTS = {
    "scores": {"somebody's": {"authors": SCORE, "fine": SCORE}},
    "parameters": {"num_test": 100, "num_valid_for_sigma": 10, "centres": "first of train"},
    "data_md5": {"a file": "0" * 32},
    "plus_minus": "standard error over the test images",
}
OF_RECORD = sorted(path for part in ("*", "parzen/*", "mnist*/*") for path in RESULTS.glob(f"{part}.json"))


def test_what_is_written_is_read_with_what_made_it(tmp_path):
    written = write_results(tmp_path / "a" / "scores.json", "scores", CONTENTS, command="make it")
    assert read_results(tmp_path / "a" / "scores.json", "scores") == written
    assert CONTENTS.items() <= written.items()
    assert written["made_by"]["command"] == "make it"
    assert {"commit", "versions", "machine"} <= set(written["made_by"])


@pytest.mark.parametrize("path", OF_RECORD, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_results_file_of_record_keeps_to_the_schema_and_names_its_command(path):
    contents = read_results(path)
    assert re.match(r"make |([A-Z_]+=\S+ )*\.venv/bin/", contents["made_by"]["command"])


PLAIN = {
    "machine",
    "G",
    "authors",
    "fine",
    "cpu",
    "threads",
    "platform",
    "versions",
    "file",
    "sha256",
    "precision",
    "epoch",
}
PLAIN |= {"g_loss", "log_likelihood", "epochs", "stopped_by", "experiment", "seed", "data_md5", "metrics"}
PLAIN |= {
    "num_test",
    "num_valid_for_sigma",
    "from_step",
    "weights",
    "history",
    "kind",
    "test",
    "sizes",
    "ema",
    "config",
}


def test_every_field_of_a_run_or_of_scores_is_described_or_plain_by_its_name():
    definitions = json.loads(SCHEMA.read_text())["$defs"]
    for name in ("session", "made_by", "score", "by_grid", "metrics", "epoch", "run", "scores"):
        for field, described in definitions[name].get("properties", {}).items():
            if described is not True:
                assert "description" in described or field in PLAIN or "$ref" in described, f"{name}.{field}"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"kind": "run"}, "is a required property"),
        ({"scores": {}}, r"scores: \{\} "),
        ({"scores": {"a": {"authors": SCORE}}}, "scores.a: 'fine' is a required property"),
        ({"scores": {"a": {"authors": SCORE | {"sigma": 0}, "fine": SCORE}}}, "scores.a.authors.sigma: 0 is less than"),
        ({"scores": {"a": {"authors": SCORE | {"sigma": "0.2"}, "fine": SCORE}}}, "is not of type 'number'"),
        ({"comment": "a word"}, "'comment' was unexpected"),
        ({"data_md5": {"a file": "0"}}, "data_md5"),
        ({"scores": {"a": {"authors": SCORE | {"log_likelihood": math.nan}, "fine": SCORE}}}, "is NaN or infinite"),
    ],
)
def test_what_the_schema_does_not_allow_is_not_written(tmp_path, change, message):
    with pytest.raises(ResultsError, match=message):
        write_results(tmp_path / "scores.json", "scores", CONTENTS | change, command="make it")
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_kind_is_refused(tmp_path):
    write_results(tmp_path / "scores.json", "scores", CONTENTS, command="make it")
    with pytest.raises(ResultsError, match='is of the kind "scores", not "run"'):
        read_record(tmp_path / "scores.json")


def test_any_flipped_bit_is_found(tmp_path):
    path = tmp_path / "scores.json"
    write_results(path, "scores", CONTENTS, command="make it")
    whole, rng = path.read_bytes(), random.Random(0)
    for _ in range(300):
        byte, bit = rng.randrange(len(whole)), rng.randrange(8)
        path.write_bytes(whole[:byte] + bytes([whole[byte] ^ 1 << bit]) + whole[byte + 1 :])
        with pytest.raises(ResultsError, match=r"is damaged: it (does not end with|was changed after)"):
            read_results(path, "scores")


def test_a_whole_file_that_no_program_of_ours_wrote_is_checked_against_the_schema(tmp_path):
    path = tmp_path / "scores.json"
    path.write_bytes(encode({"schema": 2, "kind": "scores"}))
    with pytest.raises(ResultsError, match=r"does not keep to gan_repro/results_schema\.json"):
        read_results(path, "scores")


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda path: path.unlink(), "there is no results file"),
        (lambda path: path.write_text(path.read_text()[:-100]), "is damaged"),
        (lambda path: path.write_text(path.read_text().replace('"epochs": 2', '"epochs": 3')), "was changed after"),
        (lambda path: path.write_text("{}"), "does not end with its checksum"),
        (lambda path: path.write_bytes(b"\xff" + path.read_bytes()), "was changed after"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be read: Is a directory"),
        (lambda path: path.with_suffix(".safetensors").unlink(), "are missing"),
        (lambda path: path.with_suffix(".safetensors").write_bytes(b"x"), "their hash differs"),
    ],
)
def test_damaged_results_are_refused_in_a_sentence(small_run, tmp_path, damage, message):
    _, path, _ = small_run
    copy = tmp_path / path.name
    for suffix in (".json", ".safetensors"):
        copy.with_suffix(suffix).write_bytes(path.with_suffix(suffix).read_bytes())
    damage(copy)
    with pytest.raises(ResultsError, match=message):
        read_generator(copy)


def test_log_likelihoods_are_printed_to_a_tenth_of_a_nat():
    assert nats(225.04, 2.01) == "225.0 ± 2.0"
    assert nats(-3.25) == "-3.2"
    assert nats(math.nan) == "not finite"
