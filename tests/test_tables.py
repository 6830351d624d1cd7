"""Tables are made from records alone: which runs enter a row, what its spreads are of, where a table stands."""

import json

import pytest

import gan_repro.tables
from gan_repro.paths import ORACLES, RESULTS, ROOT
from gan_repro.results import encode, nats
from gan_repro.table1 import PAPER_MNIST, table1
from gan_repro.tables import between_markers, main, markdown, seeds


def test_table_1_marks_what_is_quoted_and_what_is_ours(small_run, tmp_path):
    _, path, _ = small_run
    empty = table1(tmp_path)
    assert list(empty["model"]) == list(PAPER_MNIST)
    assert all("quoted" in source for source in empty["source"])
    table = table1(path.parent.parent).set_index("model")
    assert "quoted" in table.loc["DBN", "source"] and "quoted" not in table.loc["Adversarial nets", "source"]
    assert table.loc["Adversarial nets", "seeds"] == "1"
    assert table.loc["Adversarial nets", "paper"] == "225 ± 2"
    assert "not as released: num_z" not in table.loc["Adversarial nets", "source"]
    assert "num_hidden 30" in table.loc["Adversarial nets", "source"]


def test_table_1_averages_only_runs_that_differ_in_nothing_but_the_seed(small_run, tmp_path):
    record, _, _ = small_run
    (tmp_path / "mnist").mkdir()

    def row_with(*more):
        for seed, change in enumerate(more, start=1):
            other = json.loads(json.dumps(record)) | {"seed": seed}
            other["config"] |= {"seed": seed} | change
            other["stopped_by"] = "patience" if "max_epochs" in change else other["stopped_by"]
            other["metrics"]["G"]["test"]["authors"]["log_likelihood"] += 10
            (tmp_path / "mnist" / f"seed{seed}.json").write_bytes(encode(other))
        return table1(tmp_path).set_index("model").loc["Adversarial nets"]

    (tmp_path / "mnist" / "seed0.json").write_bytes(encode(record))
    alone = row_with()
    assert (alone["seeds"], alone["between seeds"]) == ("1", "–")
    other = row_with({"lr": 0.05})
    assert (other["ours"], other["seeds"]) == (alone["ours"], "1 (and 1 of other parameters)")
    assert list(seeds(tmp_path)["in the mean"]) == ["yes", "no: of other parameters"]
    longer = row_with({"max_epochs": record["config"]["max_epochs"] + 1})
    assert (longer["ours"] != alone["ours"], longer["seeds"]) == (True, "1 (and 1 cut earlier)")
    listed = seeds(tmp_path)
    assert list(listed["in the mean"]) == ["no: cut earlier", "yes"]
    assert list(listed["ended"]) == ["cut", "by the rule"]
    pair = row_with({})
    assert (pair["seeds"], pair["between seeds"]) == ("2", "7.1")
    mean = record["metrics"]["G"]["test"]["authors"]["log_likelihood"] + 5
    assert pair["ours"].startswith(f"{mean:.1f} ±")


def test_a_score_of_fewer_samples_than_the_paper_s_is_compared_neither_with_it_nor_with_real_data(small_run, tmp_path):
    record, _, _ = small_run
    (tmp_path / "mnist").mkdir()
    oracle = json.loads((RESULTS / ORACLES).read_text())
    (tmp_path / ORACLES).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / ORACLES).write_bytes(encode(oracle))

    def row_with(num_samples):
        other = json.loads(json.dumps(record))
        other["config"]["num_samples"] = num_samples
        (tmp_path / "mnist" / "seed0.json").write_bytes(encode(other))
        return table1(tmp_path).set_index("model").loc["Adversarial nets"]

    few, as_many = row_with(2000), row_with(10_000)
    assert (few["below real data"], few["verdict"]) == ("–", "none: of 2,000 samples, not of 10,000")
    real = oracle["scores"]["real_data_10000"]["authors"]["log_likelihood"]
    ours = record["metrics"]["G"]["test"]["authors"]["log_likelihood"]
    assert as_many["below real data"] == f"{real - ours:.1f}"
    assert as_many["verdict"].startswith(f"not: {225 - ours:.1f} below")
    assert few["ours"] == as_many["ours"]


def test_a_record_from_before_a_field_existed_is_of_one_kind_with_one_that_has_its_default(small_run, tmp_path):
    record, _, _ = small_run
    (tmp_path / "mnist").mkdir()
    for seed, lacking in enumerate(({}, {"pair", "width"})):
        other = json.loads(json.dumps(record)) | {"seed": seed}
        other["config"] = {k: v for k, v in other["config"].items() if k not in lacking} | {"seed": seed}
        (tmp_path / "mnist" / f"seed{seed}.json").write_bytes(encode(other))
    assert table1(tmp_path).set_index("model").loc["Adversarial nets", "seeds"] == "2"


def test_the_faster_recipe_and_each_kind_of_spread_have_their_places_in_table_1(small_run, tmp_path):
    record, _, _ = small_run
    (tmp_path / "mnist_fast").mkdir()
    for seed, nats_above in enumerate((0, 6)):
        other = json.loads(json.dumps(record)) | {"seed": seed}
        other["config"] |= {"seed": seed, "lr_decay": 1.00004}
        scores = other["metrics"]["G"]
        scores["epoch"], scores["validation"] = seed + 1, other["history"][seed]["G"]
        scores["test"]["authors"]["log_likelihood"] = 100.0 + nats_above
        scores["redraws"] = [100.0 + nats_above + redraw for redraw in (2, -2, 2, -2)]
        (tmp_path / "mnist_fast" / f"seed{seed}.json").write_bytes(encode(other))
    table = table1(tmp_path).set_index("model")
    assert "quoted" in table.loc["Adversarial nets", "source"]
    row = table.loc["Adversarial nets, faster decay"]
    error = record["metrics"]["G"]["test"]["authors"]["standard_error"]
    assert row["ours"] == nats(103.0, error)
    assert (row["seeds"], row["between seeds"]) == ("2", f"{6 / 2**0.5:.1f}")
    assert row["between draws"] == "2.0"  # of 0, 2, -2, 2, -2 about their mean: sqrt(16 / 4)
    assert row["source"].startswith("epochs 1 to 2, the best of 2; not yet at the stopping rule")
    assert "lr_decay 1.00004" in row["source"]
    listed = seeds(tmp_path)
    assert list(listed["seed"]) == [0, 1] and list(listed["G"]) == [nats(100.0, error), nats(106.0, error)]


def test_runs_in_which_g_was_lost_are_counted_and_listed_but_not_averaged(small_run, tmp_path):
    record, _, _ = small_run
    (tmp_path / "mnist_fast").mkdir()

    def rows_with(*last_D_G_z):
        for seed, value in enumerate(last_D_G_z):
            other = json.loads(json.dumps(record)) | {"seed": seed}
            other["config"] |= {"seed": seed, "lr_decay": 1.00004}
            other["history"][-1]["D_G_z"] = value
            other["metrics"]["G"]["test"]["authors"]["log_likelihood"] = 100.0 + 10 * seed
            (tmp_path / "mnist_fast" / f"seed{seed}.json").write_bytes(encode(other))
        return table1(tmp_path).set_index("model").loc["Adversarial nets, faster decay"]

    row = rows_with(0.4, 0.4, 0.009)
    assert row["ours"].startswith("105.0 ±") and row["seeds"] == "2 (and 1 lost)"
    assert row["between seeds"] == f"{10 / 2**0.5:.1f}"
    assert list(seeds(tmp_path)["last D(G(z))"]) == ["0.400", "0.400", "0.009"]
    assert list(seeds(tmp_path)["in the mean"]) == ["yes", "yes", "no: lost"]
    row = rows_with(0.001, 0.002, 0.009)
    assert row["ours"].startswith("110.0 ±") and row["seeds"] == "3"


def test_generated_text_goes_between_its_markers_and_nowhere_else():
    text = "a\n<!-- t -->\nold\n<!-- end t -->\nb\n"
    assert between_markers(text, "t", "new") == "a\n<!-- t -->\nnew\n<!-- end t -->\nb\n"
    with pytest.raises(ValueError, match="there are no lines <!-- u -->"):
        between_markers(text, "u", "new")


def test_markdown_tables_have_one_line_a_row():
    lines = markdown(table1().head(2)).splitlines()
    assert len(lines) == 4 and len({line.count("|") for line in lines}) == 1


def test_where_the_figure_cannot_be_made_the_readme_stays_as_it_was(tmp_path, monkeypatch):
    text = (ROOT / "README.md").read_text().replace("<!-- headline -->\n", "<!-- headline -->\nold\n")
    (tmp_path / "README.md").write_text(text)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/speed.md").write_text((ROOT / "docs/speed.md").read_text())
    notebook = tmp_path / "notebooks/03_mnist.ipynb"
    whole = (ROOT / "notebooks/03_mnist.ipynb").read_text()
    notebook.write_text(whole.replace('"image/png"', '"image/gif"'))
    monkeypatch.setattr(gan_repro.tables, "ROOT", tmp_path)
    monkeypatch.setattr(gan_repro.tables, "FIGURE", tmp_path / "docs/figure_2a.png")
    with pytest.raises(SystemExit, match=r"^.*03_mnist\.ipynb has no picture at its cell figure-2a: run it in place$"):
        main()
    assert (tmp_path / "README.md").read_text() == text
    assert [path.name for path in (tmp_path / "docs").iterdir()] == ["speed.md"]
    notebook.write_text(whole)
    main()
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text()
    assert (tmp_path / "docs/figure_2a.png").read_bytes() == (ROOT / "docs/figure_2a.png").read_bytes()
