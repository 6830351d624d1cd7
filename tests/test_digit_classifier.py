import pytest
import torch
from torch.testing import assert_close

from gan_repro.digit_classifier import NUM_FEATURES, DigitClassifier, accuracy, features_of, train_digit_classifier


def bars(n):
    """Images with a bright row whose place is the label."""
    labels = torch.arange(n) % 10
    images = torch.zeros(n, 28, 28, dtype=torch.uint8)
    images[torch.arange(n), 4 + 2 * labels] = 255
    return images.flatten(1), labels


def test_it_learns_what_tells_images_apart():
    x, labels = bars(500)
    before = accuracy(DigitClassifier(), x / 255, labels)
    classifier = train_digit_classifier(x, labels, epochs=8, seed=0)
    assert before < 0.4
    assert accuracy(classifier, x / 255, labels) > 0.95
    assert accuracy(classifier, x / 255, (labels + 1) % 10) < 0.05


def test_features_are_what_the_last_layer_sees():
    x, _ = bars(1100)  # more than are taken at a time
    classifier = DigitClassifier()
    features = features_of(classifier, x / 255)
    assert features.shape == (1100, NUM_FEATURES)
    assert features.min() >= 0
    assert_close(classifier.y(features), classifier(x / 255))


def test_one_seed_is_one_classifier_and_leaves_the_global_draws_alone():
    x, labels = bars(200)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, second, other = (train_digit_classifier(x, labels, epochs=1, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.y.weight, second.y.weight)
    assert not torch.equal(first.y.weight, other.y.weight)


def test_a_training_of_nothing_is_refused():
    with pytest.raises(ValueError, match="epochs is 0: it must be at least 1"):
        train_digit_classifier(*bars(100), epochs=0, seed=0)
    with pytest.raises(ValueError, match="there are 99 images: a minibatch has 100"):
        train_digit_classifier(*bars(99), epochs=1, seed=0)
