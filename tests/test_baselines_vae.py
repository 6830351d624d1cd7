"""The VAE's bound against torch.distributions, and its learning."""

import torch
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.testing import assert_close

from gan_repro.baselines.vae import VAE, VAEConfig

CONFIG = VAEConfig(num_visible=6, num_hidden=16, num_z=2, batch_size=20, lr=0.01)


def test_the_bound_is_that_of_the_distributions():
    model, draws = VAE(CONFIG, torch.Generator().manual_seed(0)), torch.Generator().manual_seed(1)
    x, noise = torch.bernoulli(torch.full((5, 6), 0.5), generator=draws), torch.randn(5, 2, generator=draws)
    mean, log_variance = model.encoder(x).chunk(2, dim=1)
    posterior = Normal(mean, (log_variance / 2).exp())
    z = mean + posterior.stddev * noise
    log_likelihood = Bernoulli(logits=model.decoder(z)).log_prob(x).sum(dim=1)
    kl = kl_divergence(posterior, Normal(0, 1)).sum(dim=1)
    assert_close(model.negative_elbo(x, noise), kl - log_likelihood)


def test_the_bound_lies_above_the_negative_log_likelihood():
    model, x = VAE(CONFIG, torch.Generator().manual_seed(0)), torch.tensor([[1.0, 1, 1, 0, 0, 0]])
    with torch.no_grad():
        z = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(1))
        log_p = Bernoulli(logits=model.decoder(z)).log_prob(x).sum(dim=1)
        log_likelihood = torch.logsumexp(log_p, dim=0) - torch.log(torch.tensor(len(z)))
        noise = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(2))
        bound = model.negative_elbo(x.expand(len(noise), -1), noise).mean()
    assert bound > -log_likelihood


def test_a_vae_draws_what_it_learned():
    bars = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]).repeat(100, 1)
    model = VAE(CONFIG, torch.Generator().manual_seed(0))
    bounds = [model.train_epoch(bars, e, torch.Generator().manual_seed(e))["negative_elbo"] for e in range(60)]
    assert bounds[-1] < 0.5 * bounds[0]
    drawn = model.draw(500, torch.Generator().manual_seed(1))
    first, second = (((drawn > 0.5) == bar.bool()).all(dim=1).float().mean() for bar in bars[:2])
    assert first + second > 0.8
    assert min(first, second) > 0.2
