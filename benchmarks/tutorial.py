"""The same pair of networks trained the way most tutorials do it: what the step of this repository is compared with.

The shape is that of the DCGAN tutorial in pytorch/examples: a backward pass for the data and one for G(z), Adam on D,
then G(z) through D once more, a third backward pass, which also fills gradients of D that nobody uses, and Adam on G.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class TutorialMaxout(nn.Module):
    """The usual maxout: one linear layer, its outputs reshaped, the maximum over the pieces of each unit."""

    def __init__(self, in_features: int, num_units: int, num_pieces: int):
        super().__init__()
        self.num_units, self.num_pieces = num_units, num_pieces
        self.linear = nn.Linear(in_features, num_units * num_pieces)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).view(-1, self.num_units, self.num_pieces).max(dim=2).values  # (n, num_units)


class TutorialLoop:
    """One call of `step` is one pass of the loop's body."""

    def __init__(self, images: Tensor, *, batch_size: int = 100):
        """images: (n, 784) float32 in [0, 1]."""
        self.G = nn.Sequential(
            nn.Linear(100, 1200), nn.ReLU(), nn.Linear(1200, 1200), nn.ReLU(), nn.Linear(1200, 784), nn.Sigmoid()
        )
        self.D = nn.Sequential(
            nn.Dropout(0.2),
            TutorialMaxout(784, 240, 5),
            nn.Dropout(0.5),
            TutorialMaxout(240, 240, 5),
            nn.Dropout(0.5),
            nn.Linear(240, 1),
            nn.Sigmoid(),
        )
        self.optimizer_G = torch.optim.Adam(self.G.parameters(), lr=0.0002, betas=(0.5, 0.999))
        self.optimizer_D = torch.optim.Adam(self.D.parameters(), lr=0.0002, betas=(0.5, 0.999))
        self.criterion = nn.BCELoss()
        self.loader = DataLoader(TensorDataset(images), batch_size=batch_size, shuffle=True, drop_last=True)
        self.batches = self.endless_batches()

    def endless_batches(self) -> Iterator[Tensor]:
        while True:
            for (x,) in self.loader:
                yield x

    def step(self) -> None:
        x = next(self.batches)
        ones, zeros = torch.ones(len(x), 1), torch.zeros(len(x), 1)
        z = (2 * torch.rand(len(x), 100) - 1) * math.sqrt(3)
        fake = self.G(z)

        self.optimizer_D.zero_grad()
        self.criterion(self.D(x), ones).backward()
        self.criterion(self.D(fake.detach()), zeros).backward()
        self.optimizer_D.step()

        self.optimizer_G.zero_grad()
        self.criterion(self.D(fake), ones).backward()
        self.optimizer_G.step()
