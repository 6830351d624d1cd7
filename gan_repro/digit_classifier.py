"""A small classifier of digits, whose features tell what a sample looks like (08_parzen_window, section 7)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_repro.baselines.minibatches import minibatches
from gan_repro.data import to_unit

BATCH_SIZE = 100
NUM_FEATURES = 64


class DigitClassifier(nn.Module):
    """Images (n, 784) in [0, 1] -> logits of the ten digits, (n, 10). Two convolutions, one hidden layer; all ours."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Unflatten(1, (1, 28, 28)),
            *(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(32 * 7 * 7, NUM_FEATURES), nn.ReLU()),
        )
        self.y = nn.Linear(NUM_FEATURES, 10)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees of images (n, 784) in [0, 1]: (n, NUM_FEATURES), none below 0."""
        return self.layers(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.y(self.features(x))


def train_digit_classifier(x: Tensor, labels: Tensor, *, epochs: int, seed: int) -> DigitClassifier:
    """A classifier trained by Adam on images (n, 784) uint8 and labels (n,) from 0 to 9.

    seed: of its initial weights and of the order of the images. Raises ValueError where epochs is below 1 or there are
    fewer images than in a minibatch.
    """
    if len(x) < BATCH_SIZE:
        raise ValueError(f"there are {len(x)} images: a minibatch has {BATCH_SIZE}")
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}: it must be at least 1")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = DigitClassifier()
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=0.001)
    for _ in range(epochs):
        for rows in minibatches(len(x), BATCH_SIZE, order):
            loss = F.cross_entropy(classifier(to_unit(x[rows])), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return classifier


@torch.no_grad()
def features_of(classifier: DigitClassifier, images: Tensor) -> Tensor:
    """The features of images, (n, 784) in [0, 1], a thousand at a time: (n, NUM_FEATURES)."""
    return torch.cat([classifier.features(part) for part in images.split(1000)])


def accuracy(classifier: DigitClassifier, images: Tensor, labels: Tensor) -> float:
    """The share of images, (n, 784) in [0, 1], whose digit it names."""
    named = classifier.y(features_of(classifier, images)).argmax(dim=1)
    return (named == labels).double().mean().item()
