"""A sheet of samples mixed among real images, for someone who does not know which are which."""

from typing import NamedTuple

import torch
from torch import Tensor


class BlindSheet(NamedTuple):
    """Images in an order that tells nothing, and what they are."""

    images: Tensor  # (n, d)
    is_generated: Tensor  # (n,) bool

    def judged(self, generated: set[int]) -> tuple[int, int]:
        """Of the images that a judge called generated, by their numbers from 1: how many are, and how many are real.

        Raises ValueError for a number that is not on the sheet.
        """
        if outside := [number for number in sorted(generated) if not 1 <= number <= len(self.images)]:
            raise ValueError(f"image {outside[0]} is not on the sheet, whose images are 1 to {len(self.images)}")
        found = sum(bool(self.is_generated[number - 1]) for number in generated)
        return found, len(generated) - found

    def answer(self, called_generated: set[int], *, is_judged: bool) -> str:
        """What a judge found, in one line, and which images are generated, in another.

        is_judged: whether it was this sheet that the judge saw, and not that of another run.
        """
        told = "this run's sheet has not been judged"
        if is_judged:
            found, wrong = self.judged(called_generated)
            told = f"called generated: {len(called_generated)}; of these generated {found}, real {wrong}"
            told += f"; of {int(self.is_generated.sum())} generated in all"
        numbers = [str(i + 1) for i, generated in enumerate(self.is_generated.tolist()) if generated]
        return f"{told}\ngenerated are {', '.join(numbers)}"


def blind_sheet(samples: Tensor, real: Tensor, seed: int) -> BlindSheet:
    """samples (m, d) and real (k, d), mixed: an order that depends on seed alone."""
    order = torch.randperm(len(samples) + len(real), generator=torch.Generator().manual_seed(seed))
    return BlindSheet(torch.cat([samples, real])[order], order < len(samples))
