"""The other rows of Table 1, one small file each, all trained and scored by `fit`.

A model is a torch module with four things beside its weights: `optimizer`; `train_epoch(x, epoch, rng)`, which learns
from x (n, d) in [0, 1] for one epoch (0, 1, ...) and returns what it minimised, or a stand-in; `first_scored`, the
number (1, 2, ...) of the first epoch at whose end all its layers have been trained; and `draw(num_samples, rng)`, which
returns samples (num_samples, d) in [0, 1]: of chains, the first of each, then the second of each, and so on. One that
draws along Markov chains has `start_chains(num_chains, rng)` too, which returns a `chains.Advance`.
Every random number comes from the rng it is given.
"""
