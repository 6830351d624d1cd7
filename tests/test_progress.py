"""The progress report: a table that reads the same in a terminal, in a file and in a notebook."""

import re
from types import SimpleNamespace

import pytest

from gan_repro.progress import HEADER, Progress, duration

TITLES = ["epoch", "D(x)", "D(G(z))", "D loss", "G loss", "validation: G", "average", "s/epoch", "left at most"]


def row(epoch, *, scored=True, D_x=0.593, D_G_z=0.41, d_loss=0.61, g_loss=1.2, score=138.04, average=160.55):
    numbers = {"epoch": epoch, "D_x": D_x, "D_G_z": D_G_z, "d_loss": d_loss, "g_loss": g_loss}
    scores = {"G": {"authors": {"log_likelihood": score}}, "ema": {"authors": {"log_likelihood": average}}}
    return numbers | (scores if scored else {})


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until told: clock.now, in seconds."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr("gan_repro.progress.time.perf_counter", lambda: Clock.now)
    return Clock


@pytest.fixture
def lines(clock):
    return []


@pytest.fixture
def progress(lines, tiny):
    return Progress(tiny, 0, lines.append)


def columns(line):
    """(start, end) of each column's text."""
    return [match.span() for match in re.finditer(r"\S+( nats)?", line)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"D_x": 1.0, "D_G_z": 0.0, "d_loss": 0.0, "g_loss": -0.6931},
        {"d_loss": 35.1234, "g_loss": -12.3456, "score": -1234.56, "average": -12345.67},
    ],
)
def test_every_number_stands_under_the_end_of_its_title(progress, lines, changes):
    progress.epoch(row(5, **changes), 10.0)
    header, numbers = lines
    assert header == HEADER
    spans = columns(numbers)
    assert len(spans) == len(TITLES)
    starts = [header.index(f"  {title}") + 2 if title != "epoch" else 0 for title in TITLES]
    for title, start, (_, end) in list(zip(TITLES, starts, spans, strict=True))[:-1]:
        assert end == start + len(title), title
    assert spans[-1][0] == starts[-1]  # the last column, of various lengths, begins under its title


def test_a_row_holds_the_epochs_numbers_in_the_order_of_the_titles(progress, lines, clock):
    clock.now += 12.5
    progress.epoch(row(2), 10.0)  # one epoch is left, of 12.5 s
    assert lines[1].split() == ["2", "0.593", "0.410", "0.6100", "1.2000", "138.0", "nats", "160.6", "12.5", "0:12"]


def test_only_scored_epochs_get_a_row_and_the_header_comes_once(progress, lines):
    for epoch, scored in [(1, False), (2, True), (3, False), (4, True)]:
        progress.epoch(row(epoch, scored=scored), 10.0)
    assert lines[0] == HEADER
    assert [line.split()[0] for line in lines[1:]] == ["2", "4"]


def test_the_time_left_counts_the_epochs_of_this_session_only(lines, tiny, clock):
    progress = Progress(tiny, 1, lines.append)  # resumed after the first of three epochs
    clock.now += 90
    progress.epoch(row(2), 1000.0)
    assert lines[1].split()[-2:] == ["90.0", "1:30"]
    clock.now += 30
    progress.epoch(row(3), 1030.0)
    assert lines[2].split()[-2:] == ["60.0", "0:00"]


def test_without_a_place_to_show_it_nothing_is_printed(tiny, capfd, clock):
    progress = Progress(tiny, 0, None)
    for step in range(1, 13):
        clock.now += 1
        progress.step(step, 1.0)
    progress.epoch(row(1), 10.0)
    assert capfd.readouterr() == ("", "")


def test_elsewhere_than_in_a_terminal_there_are_only_whole_lines(tiny, capfd, clock):
    progress = Progress(tiny, 0, print)
    for step in range(1, 13):
        clock.now += 1
        progress.step(step, 1.0)
    progress.epoch(row(1), 10.0)
    shown = capfd.readouterr().out
    assert "\r" not in shown
    assert "\033" not in shown
    assert len(shown.splitlines()) == 2


@pytest.fixture
def terminal(monkeypatch, capsys):
    """What is printed where print believes to have a terminal before it."""
    terminal = SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("gan_repro.progress.sys", terminal)
    return capsys


def test_a_terminal_sees_the_step_four_times_a_second_at_most(tiny, terminal, clock):
    progress = Progress(tiny, 3, print)
    for step in range(1, 11):
        clock.now += 0.1
        progress.step(step, 1.0)
    shown = terminal.readouterr().out
    assert shown == "".join(f"\repoch 4: step {step} of 12\033[K" for step in (3, 6, 9))


def test_the_epoch_in_the_terminals_line_goes_on_after_epochs_without_a_row(tiny, terminal, clock):
    progress = Progress(tiny, 0, print)
    progress.epoch(row(1, scored=False), 1.0)
    clock.now += 1
    progress.step(1, 1.0)
    assert terminal.readouterr().out.startswith("\repoch 2: step 1 of 12")


def test_lines_given_to_another_function_than_print_bring_no_terminal_line(tiny, terminal, clock, lines):
    progress = Progress(tiny, 0, lines.append)
    clock.now += 1
    progress.step(1, 1.0)
    progress.epoch(row(1), 1.0)
    assert terminal.readouterr().out == ""
    assert len(lines) == 2


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0:00"),
        (59.4, "0:59"),
        (59.6, "1:00"),
        (125, "2:05"),
        (3599.7, "1:00:00"),
        (3661, "1:01:01"),
        (360000, "100:00:00"),
    ],
)
def test_a_duration_reads_as_on_a_clock(seconds, text):
    assert duration(seconds) == text
