"""Weights files: as near the weights as eight bits allow, and refused where they are not what they should be."""

import pickle

import pytest
import torch
from safetensors.torch import save

from gan_repro.models import Generator
from gan_repro.weights import in_eight_bits, pack, unpack


def weights_of(small, seed=0):
    G = Generator(num_z=small.num_z, num_hidden=small.num_hidden)
    return G.initialize(torch.Generator().manual_seed(seed), pixel_means=torch.full((784,), 0.5)).state_dict()


def test_weights_in_eight_bits_are_as_near_as_their_scale_allows():
    value = torch.randn(5, 40, generator=torch.Generator().manual_seed(0)) * torch.tensor([[1e-4], [1], [3], [0], [50]])
    kept = in_eight_bits("h0.weight", value)
    assert {key: tensor.dtype for key, tensor in kept.items()} == {
        "h0.weight": torch.int8,
        "h0.weight.scale": torch.float32,
    }
    back = kept["h0.weight"].float() * kept["h0.weight.scale"]
    assert ((back - value).abs() <= value.abs().amax(dim=1, keepdim=True) / 254 * 1.0001).all()
    bias = torch.randn(7)
    assert in_eight_bits("h0.bias", bias) == {"h0.bias": bias}


def test_each_generator_of_a_weights_file_is_found_by_its_name(small):
    both = {"G": weights_of(small), "ema": weights_of(small, seed=1)}
    packed = pack(both)
    for name, weights in both.items():
        for key, value in unpack(packed, small, name).state_dict().items():
            assert (value - weights[key]).abs().max() <= 0.05 / 127  # irange .05: half a step of an eighth bit


def of_another_shape(weights):
    return {**weights, "h1.bias": torch.zeros(3)}


def without_a_layer(weights):
    return {key: value for key, value in weights.items() if not key.startswith("y.")}


def with_a_layer_too_many(weights):
    return {**weights, "h2.bias": torch.zeros(3)}


def with_a_nan(weights):
    return {**weights, "y.bias": weights["y.bias"].index_fill(0, torch.tensor(7), torch.nan)}


@pytest.mark.parametrize(
    "change, message",
    [
        (of_another_shape, r"G.h1.bias has shape \(3,\), its generator has \(30,\) there"),
        (without_a_layer, r"G.y.bias has shape None, its generator has \(784,\) there"),
        (with_a_layer_too_many, r"G.h2.bias has shape \(3,\), its generator has None there"),
        (with_a_nan, "G.y.bias holds NaN or infinity"),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_a_sentence(small, change, message):
    with pytest.raises(ValueError, match=message):
        unpack(pack({"G": change(weights_of(small))}), small, "G")


class Malicious:
    def __reduce__(self):
        return pytest.fail, ("the pickle was executed",)


@pytest.mark.parametrize(
    "data",
    [pickle.dumps(Malicious()), b"", b"x" * 100, save({"G.h0.bias": torch.zeros(3)})[:-5]],
    ids=["pickle", "empty", "text", "truncated"],
)
def test_only_safetensors_are_read_and_a_pickle_is_never_executed(small, data):
    with pytest.raises(ValueError, match="not in the safetensors format, and no other is read"):
        unpack(data, small, "G")
