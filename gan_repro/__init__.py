"""Generative Adversarial Nets (Goodfellow et al., 2014), reproduced: what more than one notebook needs."""
