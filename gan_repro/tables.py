"""The tables of README.md and docs/speed.md from the files in results/, and the figure of the first from 03_mnist.
`python -m gan_repro.tables` writes them."""

import base64
import json
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from gan_repro.files import write_atomically
from gan_repro.paths import BY_NUM_SAMPLES, RESULTS, ROOT
from gan_repro.records import read_record
from gan_repro.results import ResultsError, damaged, nats, read_results, relative
from gan_repro.seeds import FOLDERS, OF_OTHER_PAIRS, all_records, records, why_not_averaged
from gan_repro.table1 import PAPER_MNIST, REAL_DATA, reasons, table1
from gan_repro.table1_faces import table1_faces


def headline(results: Path = RESULTS) -> pd.DataFrame:
    """Table 1 in short: the paper's rows, the average of G's weights, and real data."""
    table = table1(results).set_index("model")
    rows = [row for row in (*PAPER_MNIST, "Adversarial nets, averaged G", REAL_DATA) if row in table.index]
    return table.loc[rows, ["paper", "ours", "seeds", "below real data", "verdict"]].reset_index()


def seeds(results: Path = RESULTS) -> pd.DataFrame:
    """Every run of record: its length, what ended it and whether it is in the mean of Table 1, the test scores of G and
    of the average at their best epochs, in nats, and the mean probability that D gave to samples in its last epoch:
    near 0 where G was lost."""
    rows = []
    for folder in FOLDERS:
        of_row = records(results / folder)
        for run in all_records(results / folder):
            row = {"lr divided by": run["config"]["lr_decay"], "seed": run["seed"], "epochs": run["epochs"]}
            row["ended"] = "by the rule" if run["stopped_by"] == "patience" else "cut"
            row["in the mean"] = "yes" if (why := why_not_averaged(run, of_row)) is None else f"no: {why}"
            for name, label in (("G", "G"), ("ema", "averaged G")):
                test = run["metrics"][name]["test"]
                row[f"{label}: epoch"] = run["metrics"][name]["epoch"]
                row[label] = nats(test["authors"]["log_likelihood"], test["authors"]["standard_error"])
                row[f"{label}, fine grid"] = nats(test["fine"]["log_likelihood"], test["fine"]["standard_error"])
            row["last D(G(z))"] = f"{run['history'][-1]['D_G_z']:.3f}"
            rows.append(row)
    return pd.DataFrame(rows)


def costs(results: Path = RESULTS) -> pd.DataFrame:
    """What the runs of record took: hours of training and scoring, and on what."""
    rows = []
    for folder in (*FOLDERS, *OF_OTHER_PAIRS):
        for record in all_records(results / folder):
            last = record["sessions"][-1]["machine"]
            hours, minutes = record["seconds"] / 3600, record["seconds"] / record["epochs"] / 60
            row = {"run": f"{folder}, seed {record['seed']}", "width": f"{record['config'].get('width', 1):g}"}
            row |= {"epochs": record["epochs"], "hours": f"{hours:.2f}"}
            on = f"{last['cpu']}, {last['threads']} thread(s)"
            rows.append(row | {"minutes an epoch": f"{minutes:.2f}", "on": on})
    return pd.DataFrame(rows, columns=["run", "width", "epochs", "hours", "minutes an epoch", "on"])


def speed(results: Path = RESULTS) -> pd.DataFrame:
    """What `make bench` measured on the machine of record, beside what was aimed at. Medians, quartiles in brackets."""
    record = read_results(results / "bench.json", "bench")
    return pd.DataFrame([row for part in (*record["sections"], *record["growth"]) for row in bar_rows(part)])


def memory(results: Path = RESULTS) -> pd.DataFrame:
    """The peak memory of each piece of work, as `make bench` found it, beside what was aimed at."""
    record = read_results(results / "bench.json", "bench")
    rows = bar_rows({"title": "peak memory", "bars": record["memory"]})
    return pd.DataFrame(rows).drop(columns="of").rename(columns={"measured": "work"})


def bar_rows(part: dict[str, Any]) -> list[dict[str, str]]:
    """A row for each bar of a section of the benchmarks."""
    rows, title = [], part["title"].split(";")[0]
    for bar in part["bars"]:
        unit = "" if bar["unit"] == "ratio" else f" {bar['unit']}"
        lower, upper = bar["quartiles"]
        spread = f" ({lower:.2f} to {upper:.2f})" if lower < upper else ""
        limits = [f"{word} {bar[key]:.3g}{unit}" for key, word in LIMITS.items() if key in bar]
        row = {"of": title, "measured": bar["name"].removeprefix(f"{title}: ")}
        row["median"] = f"{bar['median']:.2f}{unit}{spread}"
        met = "–" if not limits else "yes" if bar["met"] else "no"
        rows.append(row | {"aim": ", ".join(limits) or "–", "met": met})
    return rows


LIMITS = {"at_least": "at least", "at_most": "at most"}


def by_num_samples(results: Path = RESULTS) -> pd.DataFrame | None:
    """Test score against the number of samples, finer grid, as 08_parzen_window wrote it, or None: a row for each
    number; for "real data", "G" and "ema" the columns (name, "nats") and (name, "error"), over test images."""
    path = results / BY_NUM_SAMPLES
    if not path.exists():
        return None
    contents = read_results(path, "scores")
    if missing := {"seed", "sizes", "weights"} - set(contents["parameters"]):
        raise damaged(path, f"its parameters lack {', '.join(sorted(missing))}")
    names = [f"{name}, {size}" for name in ("real data", "ema", "G") for size in contents["parameters"]["sizes"]]
    if lacking := [name for name in names if name not in contents["scores"]]:
        raise damaged(path, f"it lacks the score of {lacking[0]}")
    record = read_record(results / "mnist" / f"seed{contents['parameters']['seed']}.json")
    if contents["parameters"]["weights"] != record["weights"]["sha256"]:
        raise ResultsError(f"{relative(path)} is of other weights of G: remove it and run 08_parzen_window")
    table = {}
    for name in ("real data", "ema", "G"):
        for size in contents["parameters"]["sizes"]:
            score = contents["scores"][f"{name}, {size}"]["fine"]
            table.setdefault((name, "nats"), {})[size] = score["log_likelihood"]
            table.setdefault((name, "error"), {})[size] = score["standard_error"]
    return pd.DataFrame(table)


def samples_needed(results: Path = RESULTS) -> pd.DataFrame:
    """`by_num_samples` as text for README.md."""
    scores = by_num_samples(results)
    if scores is None:
        raise ResultsError(f"{relative(results / 'parzen')} lacks by_num_samples.json: run 08_parzen_window")
    columns = {"real data": "real data", "ema": "averaged G", "G": "G"}
    rows = [
        {"samples": f"{size:,}"}
        | {label: nats(scores[name, "nats"][size], scores[name, "error"][size]) for name, label in columns.items()}
        for size in scores.index
    ]
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown, every cell as it stands, but that no line breaks before a ±."""
    rows = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).values.tolist()]
    text = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return text.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")


def between_markers(text: str, name: str, content: str) -> str:
    """text with what stands between <!-- name --> and <!-- end name --> replaced by content."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"there are no lines <!-- {name} --> and <!-- end {name} -->")
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)


def page(name: str) -> str:
    """The text of a page, a key of PAGES, with its tables made anew."""
    text = (ROOT / name).read_text()
    for marker in PAGES[name]:
        text = between_markers(text, marker, markdown((IN_SHORT | TABLES)[marker]()))
    return text


def stored_figure(notebook: Path, cell_id: str) -> bytes:
    """The picture that a notebook has stored as a cell's output, as PNG. Raises ValueError if it has none there."""
    for cell in json.loads(notebook.read_text())["cells"]:
        for output in cell.get("outputs", []) if cell["id"] == cell_id else []:
            if "image/png" in output.get("data", {}):
                return base64.b64decode(output["data"]["image/png"])
    raise ValueError(f"{relative(notebook)} has no picture at its cell {cell_id}: run it in place")


FIGURE = ROOT / "docs" / "figure_2a.png"  # of README.md: what 03_mnist shows
# The tables by their markers in the pages; each takes a results folder.
TABLES = {
    "table 1": table1,
    "faces": table1_faces,
    "seeds": seeds,
    "samples": samples_needed,
    "costs": costs,
    "speed": speed,
    "memory": memory,
}
IN_SHORT = {"headline": headline, "reasons": reasons}  # what README.md has of table 1 before the whole
PAGES = {
    "README.md": [*IN_SHORT, "table 1", "faces", "seeds", "samples", "costs"],
    "docs/speed.md": ["speed", "memory"],
}


def main() -> None:
    """All are made before any is written, so that a table or figure that cannot be made changes nothing."""
    try:
        texts = {name: page(name) for name in PAGES}
        write_atomically(FIGURE, stored_figure(ROOT / "notebooks" / "03_mnist.ipynb", "figure-2a"))
        for name, text in texts.items():
            write_atomically(ROOT / name, text)
    except (ResultsError, ValueError, OSError) as error:
        sys.exit(str(error))
    sys.stdout.write(f"{', '.join(PAGES)}: tables written from results/; the figure of the first from 03_mnist\n")


if __name__ == "__main__":
    main()
