"""A sheet that is to be judged blind keeps the images and their truth together, and hides the order."""

import pytest
import torch

from gan_repro.blind import blind_sheet

SAMPLES, REAL = torch.zeros(20, 3), torch.ones(30, 3)


def test_every_image_is_there_once_with_its_truth():
    draws = torch.arange(50.0)[:, None]
    sheet = blind_sheet(draws[:20], draws[20:], seed=0)
    assert sorted(sheet.images.flatten().tolist()) == list(range(50))
    assert (sheet.is_generated == (sheet.images[:, 0] < 20)).all()


def test_the_order_is_of_the_seed_and_mixes():
    sheets = [blind_sheet(SAMPLES, REAL, seed).is_generated for seed in (0, 0, 1)]
    assert sheets[0].equal(sheets[1])
    assert not sheets[0].equal(sheets[2])
    assert 4 <= sheets[0][:25].sum() <= 16  # of 20 on the first half; outside once in nine thousand seeds


def test_a_judge_s_hits_and_false_alarms_are_counted():
    sheet = blind_sheet(SAMPLES, REAL, seed=0)
    truth = {i + 1 for i, generated in enumerate(sheet.is_generated) if generated}
    assert sheet.judged(truth) == (20, 0)
    assert sheet.judged(set(range(1, 51))) == (20, 30)
    assert sheet.judged(set(range(1, 51)) - truth) == (0, 30)


def test_the_answer_tells_what_was_found_and_which_are_generated_and_of_another_sheet_only_the_latter():
    sheet = blind_sheet(SAMPLES[:2], REAL[:2], seed=0)
    generated = [i + 1 for i, is_generated in enumerate(sheet.is_generated) if is_generated]
    told, truth = sheet.answer({generated[0], *{1, 2, 3, 4} - set(generated)}, is_judged=True).splitlines()
    assert told == "called generated: 3; of these generated 1, real 2; of 2 generated in all"
    assert truth == f"generated are {generated[0]}, {generated[1]}"
    told, again = sheet.answer({99}, is_judged=False).splitlines()  # an answer to another sheet is not looked at
    assert told == "this run's sheet has not been judged" and again == truth


@pytest.mark.parametrize("number", [0, 51])
def test_a_number_that_is_not_on_the_sheet_is_refused(number):
    with pytest.raises(ValueError, match=f"image {number} is not on the sheet, whose images are 1 to 50"):
        blind_sheet(SAMPLES, REAL, seed=0).judged({3, number})
