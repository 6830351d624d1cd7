"""The other rows of Table 1, one small file each, all trained and scored by `fit`.

A model is a torch module with three things beside its weights: `optimizer`; `train_epoch(x, epoch, rng)`, which learns
from x (n, d) in [0, 1] for one epoch and returns what it minimised; and `draw(num_samples, rng)`, which returns samples
(num_samples, d) in [0, 1]. Every random number comes from the rng it is given.
"""
