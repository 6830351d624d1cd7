"""Every number in README.md leads to its files: those and no others change it."""

import functools
import json
import shutil

import pytest

import gan_repro.trace
from gan_repro.paths import RESULTS
from gan_repro.records import record_paths
from gan_repro.results import ResultsError, encode, read_results, relative
from gan_repro.seeds import FOLDERS, OF_OTHER_PAIRS, OTHERS
from gan_repro.table1_faces import NOT_PUBLIC
from gan_repro.tables import TABLES
from gan_repro.trace import LABELS, PAPER, TraceError, describe, files, rows, trace

FILES = [f"{folder}/{path.name}" for folder in FOLDERS for path in record_paths(RESULTS / folder)]
FILES += ["parzen/oracles.json", "parzen/by_num_samples.json", "bench.json"]
FILES += [f"{folder}/{path.name}" for folder, _ in OTHERS for path in record_paths(RESULTS / folder)]
FILES += ["peers/MNIST.json", "peers/FER-2013.json"]
FILES += [f"{folder}/{path.name}" for folder in OF_OTHER_PAIRS for path in record_paths(RESULTS / folder)]
FILES += [f"{model}_FER-2013/seed0.json" for model in ("dbn", "stacked_cae", "deep_gsn")]


@pytest.fixture
def copied(tmp_path):
    """The results of record in a folder that may be changed; the tables do not need the weights."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(RESULTS / name, tmp_path / name)
    return tmp_path


@pytest.fixture(scope="module", autouse=True)
def made_once():
    """Tables are made once, not once a cell: no test traces a cell after it changed a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gan_repro.trace, "rows", functools.cache(rows))
        yield


@pytest.fixture(scope="module")
def of_record(made_once):
    """The cells of all tables of record, and by each file those that are traced to it."""
    before, behind = cells(RESULTS), {}
    for cell in before:
        for path in files(*cell):
            behind.setdefault(path, set()).add(cell)
    return before, behind


def cells(results):
    found = {name: rows(name, results) for name in TABLES}
    return {(n, label, column): row[column] for n in found for label, row in found[n].items() for column in row.index}


def doubled(value):
    """The value with every number in it that is no whole number doubled."""
    if isinstance(value, dict):  # validation scores stand in the history too, and have to agree
        return {key: part if key == "validation" else doubled(part) for key, part in value.items()}
    if isinstance(value, list):
        return [doubled(part) for part in value]
    return 2 * value if isinstance(value, float) else value


def changed_by_doubling(before, results, name):
    """The cells that are not as before where all that was measured in a file is doubled."""
    path = results / name
    contents = json.loads(path.read_text())
    measured = ("metrics", "seconds", "scores", "sections", "growth", "memory")
    path.write_bytes(encode(contents | {key: doubled(contents[key]) for key in measured if key in contents}))
    read_results(path)  # it keeps to the schema
    after = cells(results)
    return {cell for cell in before if after[cell] != before[cell]}


@pytest.mark.parametrize("name", FILES)
def test_a_cell_changes_with_a_file_only_if_it_is_traced_to_it(copied, of_record, name):
    before, behind = of_record
    changed = changed_by_doubling(before, copied, name)
    assert changed
    assert changed <= behind[RESULTS / name]


@pytest.mark.parametrize("name", FILES)
def test_a_cell_that_is_traced_to_a_file_cannot_be_made_without_it(copied, of_record, name):
    (before, behind), path = of_record, copied / name
    whole = path.read_bytes()
    path.unlink()
    after = {}
    for table in TABLES:
        try:
            found = rows(table, copied)
        except (ResultsError, FileNotFoundError):
            continue  # nothing of this table can be made
        after |= {(table, label, column): row[column] for label, row in found.items() for column in row.index}
    # One of several seeds less may leave these as they are.
    same = {
        cell
        for cell in behind[RESULTS / name]
        if after.get(cell) == before[cell] and cell[2] not in ("sigma", "source", "between draws")
    }
    if same:  # a mean of several seeds that happens to round to what it is without this one: it is of this one too
        path.write_bytes(whole)
        assert same <= changed_by_doubling(before, copied, name)


def test_the_tables_of_a_copy_are_those_of_record(copied, of_record):
    assert cells(copied) == of_record[0]


def test_every_cell_has_files_or_is_a_name_a_dash_or_of_the_paper(of_record):
    for (name, label, column), value in of_record[0].items():
        if not files(name, label, column):
            words = column == "source" and value.startswith(("quoted from the paper", "computed"))
            assert value in ("–", NOT_PUBLIC) or column in [*LABELS[name], *PAPER] or words, (name, label, column)


def test_a_table_s_rows_have_labels_of_their_own():
    for name, table in TABLES.items():
        assert len(rows(name)) == len(table())


def test_a_cell_of_a_run_is_told_with_seed_parameters_commits_data_and_command():
    text = "\n".join(trace(["table 1", "Adversarial nets", "ours"]))
    (path, *_) = files("table 1", "Adversarial nets", "ours")
    record = read_results(path, "run")
    assert f"{relative(path)}  (sha256 {record['checksum'][:12]}" in text
    assert all(session["commit"] in text for session in [*record["sessions"], record["made_by"]])
    assert all(md5 in text for md5 in record["data_md5"].values())
    assert f"seed {record['seed']}; parameters as released" in text
    assert f"again: {record['made_by']['command']}" in text


def test_a_run_by_code_that_has_changed_since_is_told_with_the_commit_that_has_it(monkeypatch):
    (path,) = files("costs", "cifar10_mlp, seed 2", "hours")
    commit = read_results(path, "run")["sessions"][-1]["commit"]
    other = "by the code of now the command may round or draw otherwise"
    for changed, told in (([], []), (["game"], [f"  since commit {commit} game changed: {other}"])):
        monkeypatch.setattr(gan_repro.trace, "changed_since", lambda session, changed=changed: changed)
        assert [line for line in describe(path) if other in line] == told
    (path, *_) = files("seeds", "1.00004, 0", "G")
    assert f"  which code trained it was not noted in full: {other}" in describe(path)


def test_every_cell_can_be_traced():
    for cell in cells(RESULTS):
        lines = trace(cell)
        again = [line for line in lines if line.startswith("  again: ")]
        assert len(again) == len(files(*cell)), cell
        assert again or lines[-1].startswith(("Table 1 of Goodfellow", "No number of ours")), cell


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "^name a table, one of:\n  table 1\n"),
        (["table 2"], "^there is no table 'table 2'; name a table, one of:\n"),
        (["table 1"], "^name a row, one of:\n  DBN\n"),
        (["table 1", "Adversarial nets", "theirs"], "there is no column 'theirs'; name a column, one of:\n  model\n"),
    ],
)
def test_fewer_words_list_what_there_is(words, message):
    with pytest.raises(TraceError, match=message):
        trace(words)
