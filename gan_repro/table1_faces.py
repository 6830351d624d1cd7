"""Table 1, second column: the paper's numbers on the Toronto Face Database, and ours on other faces.

That database was never public, so nothing here is compared with the paper: FER-2013 stands in for it, with folds and
scores as the paper has them (`scoring.scores_over_folds`). Who has it finds the records of his own runs in its column,
those of results/faces_TFD/ and of folders such as results/dbn_TFD/.
"""

import math
import statistics
from pathlib import Path
from typing import Any

import pandas as pd

from gan_repro.paths import FACE_PEERS, REAL_FACES, RESULTS
from gan_repro.records import Record
from gan_repro.results import nats
from gan_repro.seeds import OTHERS, count_of_seeds, count_of_seeds_of_other, learned, records, records_of_other
from gan_repro.table1 import (
    columns_of_other,
    in_detail,
    minutes_of_peer,
    num_samples_of,
    our_columns,
    peers_file,
    score_columns,
)
from gan_repro.tfd import is_of_tfd

FACES = "FER-2013"
# Table 1 of the paper, TFD column: nats, and the standard error it states, over folds.
PAPER_TFD = {
    "DBN": (1909.0, 66.0),
    "Stacked CAE": (2110.0, 50.0),
    "Deep GSN": (1890.0, 29.0),
    "Adversarial nets": (2057.0, 26.0),
}
# Of the face pair's records: their folders, by the faces, and which generator is in which row.
FACE_FOLDERS = {FACES: "faces", "TFD": "faces_TFD"}
ADVERSARIAL = (
    ("G", "Adversarial nets"),
    ("ema", "Adversarial nets, averaged G"),
    ("last", "Adversarial nets, last epoch"),
)
NOT_PUBLIC = "not run: data not public"
PAPER, ON_TFD, OURS, BELOW = "paper, on TFD", "ours, on TFD", f"ours, on {FACES}", "below real faces"


def folder_of(model_folder: str, faces: str = FACES) -> str:
    """The folder of a model's records on these faces, below a results folder."""
    return f"{model_folder}_{faces}"


def table1_faces(results: Path = RESULTS) -> pd.DataFrame:
    """Table 1, second column, all in nats. Rows: the paper's models, other models with files, real faces.

    ± is the standard error over the five folds; sigma the median of theirs; below real faces: the mean of the folds'
    differences, with its own standard error, of rows that were scored on the same faces with as many samples as these.
    A number on TFD has its source in brackets.
    """
    peers, ours, on_tfd = face_peers(results), {}, {}
    scores = peers.get("scores", {})
    oracle = scores.get(REAL_FACES)

    def add(model: str, columns: dict[str, str], runs: list[Record], scores: list[dict[str, Any]]) -> None:
        """A row's numbers, in the column of its faces; those of real faces beside them where they are alike."""
        if is_of_tfd(runs[0]):
            on_tfd[model] = f"{columns['ours']} ({columns['source']})"
            return
        differs = []
        if oracle and num_samples_of(runs) != peers["parameters"]["num_samples"]:
            differs.append(f"; of {num_samples_of(runs):,} samples, unlike real faces' row")
        if oracle and runs[0]["data_md5"] != peers["data_md5"]:
            differs.append("; of other files of faces than real faces' row")
        columns = columns | {"source": "".join([columns["source"], *differs])}
        ours[model] = columns | below(scores, None if differs else oracle)

    for faces in (FACES, "TFD"):
        for name, model in OTHERS:
            folder = results / folder_of(name, faces)
            if (runs := records_of_other(folder)) and is_of_tfd(runs[0]) == (faces == "TFD"):
                columns = columns_of_other(runs) | {"seeds": count_of_seeds_of_other(folder)}
                add(model, columns, runs, [run["metrics"]["test"] for run in runs])
        folder = results / FACE_FOLDERS[faces]
        if (runs := records(folder)) and is_of_tfd(runs[0]) == (faces == "TFD"):
            for name, model in ADVERSARIAL:
                columns = our_columns(runs, name) | {"seeds": count_of_seeds(folder)}
                add(model, columns, runs, [run["metrics"][name]["test"] for run in learned(runs)])
    for model, score in sorted(scores.items(), key=lambda item: item[0] == REAL_FACES):  # real faces last
        ours[model] = score_columns([score], None) | below([score], oracle)
        ours[model] |= {"source": source(model, peers["parameters"]), "core-minutes": minutes_of_peer(peers, model)}
    rows = []
    for model in dict.fromkeys([*PAPER_TFD, *on_tfd, *ours]):
        row = {"model": model} | ours.get(model, {})
        if model in PAPER_TFD:
            value, error = PAPER_TFD[model]
            row |= {PAPER: f"{value:g} ± {error:g}", ON_TFD: NOT_PUBLIC}
        if model in on_tfd:
            row[ON_TFD] = on_tfd[model]
        rows.append(row | {OURS: row.get("ours", "–")})
    columns = ["model", PAPER, ON_TFD, OURS, "sigma", "fine grid", BELOW, "seeds"]
    columns += ["between seeds", "between draws", "core-minutes", "source"]
    return pd.DataFrame([{column: row.get(column, "–") for column in columns} for row in rows])


def below(scores: list[dict[str, Any]], oracle: dict[str, Any] | None) -> dict[str, str]:
    """How far a row lies below real faces, as `difference` has it; a dash where these have no score."""
    return {BELOW: nats(*difference(oracle, scores)) if oracle else "–"}


def difference(reference: dict[str, Any], scores: list[dict[str, Any]]) -> tuple[float, float]:
    """How far the mean of some test scores lies below another one, in nats, fold by fold: mean of the folds'
    differences, and their standard error."""
    of_folds = zip(reference["authors"]["folds"], *(score["authors"]["folds"] for score in scores), strict=True)
    values = [[fold["log_likelihood"] for fold in folds] for folds in of_folds]
    differences = [of_reference - statistics.fmean(ours) for of_reference, *ours in values]
    return statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(len(differences))


def source(model: str, parameters: dict[str, Any]) -> str:
    """Of what a row without a training was computed."""
    if model == REAL_FACES:
        return f"computed: the first {parameters['num_samples']:,} of training"
    return f"computed from {parameters['num_train']:,} faces{in_detail(model, parameters)}"


def face_peers(results: Path = RESULTS) -> dict[str, Any]:
    """The scores on faces of models without a net and of real faces, as baselines/peers.py wrote them; empty if it has
    not."""
    return peers_file(results / FACE_PEERS)
