"""What a pair costs is computed from the same nets and schedule that a training has."""

from dataclasses import replace

import pytest

from gan_repro.config import RELEASED, released
from gan_repro.costs import bench_rows, checkpoint_bytes, hours_as_released, num_parameters
from gan_repro.paths import RESULTS
from gan_repro.results import read_results

OTHERS = [pair for pair in RELEASED if pair != "mnist"]


@pytest.mark.parametrize(
    "pair, of_both",
    [
        ("faces_stage_1", (83_250_304, 21_037_201)),
        ("faces_stage_2", (84_858_404, 21_037_201)),
        ("cifar10_mlp", (89_395_072, 37_393_601)),
        ("cifar10_conv", (64_825_072, 12_454_073)),
    ],
)
def test_parameters_are_those_as_released_at_full_width_and_fewer_below(pair, of_both):
    assert num_parameters(pair) == of_both
    assert all(few < many for few, many in zip(num_parameters(pair, 0.5), of_both, strict=True))
    assert checkpoint_bytes(pair) == 4 * (5 * of_both[0] + 2 * of_both[1])


@pytest.mark.parametrize("pair", OTHERS)
def test_hours_are_those_of_the_measured_step_as_often_as_the_epochs_need_it(pair):
    config = released(pair, num_train=20_000, max_epochs=30)
    rows = {f"{pair}: step": {"seconds": {"median": 2.0}}, "mnist: step": {"seconds": {"median": 9.0}}}
    bench = {"sections": [{"rows": {"another": {"seconds": {"median": 7.0}}}}, {"rows": rows}]}
    updates = 20_000 // config.batch_size
    for batch_size in (config.batch_size, 50):  # the step that was measured is of released minibatches
        found = hours_as_released(replace(config, batch_size=batch_size), bench)
        assert found == pytest.approx(2.0 * updates * 30 / 3600)
    of_record = read_results(RESULTS / "bench.json", "bench")
    with pytest.raises(KeyError, match=f"{pair}: step"):
        hours_as_released(config, {"sections": []})
    assert 0.5 < hours_as_released(replace(config, num_train=25_000), of_record) < 20  # where these are measured


def test_a_row_of_the_bench_is_found_by_its_name_where_no_other_has_it():
    sections = [{"rows": {"one": 1, "two": 2}}, {"rows": {"one": 3}}]
    assert bench_rows({"sections": sections}) == {"two": 2}
