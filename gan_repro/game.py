"""Algorithm 1: the two players, what their training carries from step to step, and one update of both."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from gan_repro.config import TrainingConfig, learning_rate, momentum
from gan_repro.layers import give_back, limit_column_norms
from gan_repro.losses import GENERATOR_LOSSES, discriminator_loss
from gan_repro.one_pass import one_pass_gradients, one_pass_update
from gan_repro.pairs import as_seen, initialize, make_discriminator, make_generator
from gan_repro.steps import discriminator_gradients, generator_gradients, two_pass_gradients
from gan_repro.streams import dropout_masks, epoch_order, sample_noise

CLEAR_INTERVAL = 100  # steps between two times that vanished velocities are set to 0
BLOCK = 2**16  # weights that are moved at a time: with gradients and velocities three quarters of a megabyte
EMA_INTERVAL = 10  # steps between two updates of the average of G's weights, each with ema_decay ** EMA_INTERVAL
STATISTICS = ("D_x", "D_G_z", "d_loss", "g_loss")


class Game:
    """G and D at one moment of their training.

    x: the training images, (config.num_train, num_pixels) uint8 on the device. All draws are functions of the
    configuration's seed and the step, so `state_dict` holds all there is.
    """

    def __init__(self, config: TrainingConfig, x: Tensor):
        self.config, self.x, self.device = config, x, x.device
        self.G, self.D = make_generator(config), make_discriminator(config)
        if (width := self.D.input_widths[0]) != x.shape[1]:
            raise ValueError(f'the pair "{config.pair}" takes images of {width} numbers, these have {x.shape[1]}')
        initialize(self.G, self.D, x.cpu(), config)
        self.G.to(x.device)
        self.D.to(x.device)
        self.v_G, self.v_D = zeros_like(self.G), zeros_like(self.D)  # velocities: v of pylearn2's Momentum
        self.ema = copy.deepcopy(self.G).requires_grad_(False)  # the average of G's weights
        self.logits = torch.zeros(config.steps_per_epoch, 2 * config.batch_size, device=x.device)  # of this epoch
        self.step = 0  # generator updates done
        self.order_epoch = None  # whose order of the data is at hand

    def begin_stage_2(self, stage_1: dict[str, Tensor]) -> None:
        """Put the weights of a stage-1 G under the new layers of a TwoStageFaceGenerator, before the first step."""
        for G in (self.G, self.ema):
            G.stage_1.load_state_dict(stage_1)

    def update(self) -> None:
        """One generator update, with the discriminator updates that go with it."""
        c, t = self.config, self.step
        losses = {"generator_loss": c.generator_loss, "d_loss_scale": c.d_loss_scale}
        if c.step == "alternating":  # Algorithm 1
            for j in range(c.k):
                x, z, masks = self.draws(t * c.k + j, "z_for_d", "masks_for_d")
                real_logits, _ = discriminator_gradients(self.G, self.D, x, z, masks, d_loss_scale=c.d_loss_scale)
                self.move("D")
            z, masks = self.noise("z", t), self.masks("masks", t, c.batch_size)
            fake_logits = generator_gradients(self.G, self.D, z, masks, generator_loss=c.generator_loss)
            self.move("G")
        elif c.step == "simultaneous" and c.pair == "mnist" and not c.max_column_norm:  # as released, fast
            real_logits, fake_logits = one_pass_update(
                self.G, self.D, self.v_G, self.v_D, *self.draws(t, "z", "masks"), **losses, **self.rates()
            )
        else:  # as released: both at once, on the same z and masks
            gradients = one_pass_gradients if c.step == "simultaneous" else two_pass_gradients
            real_logits, fake_logits = gradients(self.G, self.D, *self.draws(t, "z", "masks"), **losses)
            self.move("D")
            self.move("G")
        torch.cat([real_logits, fake_logits], out=self.logits[t % c.steps_per_epoch].unsqueeze(1))
        self.step += 1
        if self.step % EMA_INTERVAL == 0:
            weight = 1 - c.ema_decay**EMA_INTERVAL
            torch._foreach_lerp_(list(self.ema.parameters()), [p.detach() for p in self.G.parameters()], weight)
        if self.step % CLEAR_INTERVAL == 0:
            clear_vanished(self.v_G)
            clear_vanished(self.v_D)

    def move(self, name: str) -> None:
        """Move G or D by its gradients, at this step's rates."""
        net = getattr(self, name)
        learn(net, getattr(self, f"v_{name}"), max_column_norm=self.config.max_column_norm, **self.rates())

    def rates(self) -> dict[str, float]:
        c = self.config
        return {"lr": learning_rate(c, self.step), "momentum": momentum(c, self.step // c.steps_per_epoch + 1)}

    def draws(self, minibatch: int, z: str, masks: str) -> tuple[Tensor, Tensor, list[Tensor]]:
        """A minibatch of data, one of noise, and D's dropout masks for both."""
        c = self.config
        epoch, i = divmod(minibatch, c.steps_per_epoch)
        rows = self.order(epoch)[i * c.batch_size : (i + 1) * c.batch_size]
        x = as_seen(self.x.index_select(0, rows), c)
        return x, self.noise(z, minibatch), self.masks(masks, minibatch, 2 * c.batch_size)

    def order(self, epoch: int) -> Tensor:
        if self.order_epoch != epoch:
            self.order_epoch, self.order_at_hand = (
                epoch,
                self.put(epoch_order(self.config.draws_seed, epoch, len(self.x))),
            )
        return self.order_at_hand

    def noise(self, stream: str, step: int) -> Tensor:
        c = self.config
        return self.put(sample_noise(c.noise, c.draws_seed, stream, step, (c.batch_size, c.num_z)))

    def masks(self, stream: str, step: int, num_rows: int) -> list[Tensor]:
        widths = self.D.input_widths
        drawn = dropout_masks(self.config.draws_seed, stream, step, num_rows, widths, self.config.keep(len(widths)))
        return [self.put(mask) for mask in drawn]

    def put(self, drawn: Tensor) -> Tensor:
        return drawn.to(self.device, non_blocking=True)  # else a GPU would have to finish its work first

    def last_logits(self) -> Tensor:
        """What D gave in the last step to a minibatch of data and one of samples, (2 m,)."""
        return self.logits[(self.step - 1) % self.config.steps_per_epoch]

    def statistics(self) -> Tensor:
        """STATISTICS of the steps of this epoch, dropout on: mean probability that D gives data and G(z), and the two
        losses. (steps done, 4)"""
        c = self.config
        done = self.step % c.steps_per_epoch or min(self.step, c.steps_per_epoch)
        real, fake = self.logits[:done].chunk(2, dim=1)  # (done, m) each
        d_loss = c.d_loss_scale * torch.vmap(discriminator_loss)(real, fake)
        g_loss = torch.vmap(GENERATOR_LOSSES[c.generator_loss])(fake)
        return torch.stack([real.sigmoid().mean(dim=1), fake.sigmoid().mean(dim=1), d_loss, g_loss], dim=1)

    def state_dict(self) -> dict[str, Any]:
        nets = {name: getattr(self, name).state_dict() for name in NETS}
        return nets | {"logits": self.logits}

    def load_state_dict(self, saved: dict[str, Any], step: int) -> None:
        for name in NETS:
            getattr(self, name).load_state_dict(saved[name])
        self.logits.copy_(saved["logits"])
        self.step = step


NETS = ("G", "D", "v_G", "v_D", "ema")


@torch.no_grad()
def learn(net: nn.Module, velocity: nn.Module, *, lr: float, momentum: float, max_column_norm: float = 0.0) -> None:
    """v <- momentum v - lr grad, weights <- weights + v: pylearn2's Momentum, from the gradients in `.grad`, which are
    given back; then the limit on the norms of fully connected layers, if there is one.

    On a CPU a few rows at a time, from the first operation to the last: of the large nets, whose weights do not fit in
    a cache, memory is then read once and not at every operation.
    """
    for weight, v in zip(net.parameters(), velocity.parameters(), strict=True):
        rows = max(1, BLOCK * len(weight) // weight.numel()) if weight.device.type == "cpu" else len(weight)
        for w, v_, grad in zip(weight.split(rows), v.split(rows), weight.grad.split(rows), strict=True):
            v_.mul_(momentum).add_(grad, alpha=-lr)
            w.add_(v_)
            if max_column_norm and w.dim() == 2:
                limit_column_norms(w, max_column_norm)
        give_back(weight)


@torch.no_grad()
def clear_vanished(velocity: nn.Module) -> None:
    """Set velocities to 0 that are too small to move a weight. Those of weights that no gradient reaches any more would
    shrink to denormal numbers and stay so, and processors are so slow with these that an epoch took a fifth longer."""
    for v in velocity.parameters():
        v.masked_fill_(v.abs() < 1e-20, 0)


def zeros_like(net: nn.Module) -> Any:
    """A net of the same shape whose weights are all 0 and want no gradient."""
    zeros = copy.deepcopy(net).requires_grad_(False)
    for parameter in zeros.parameters():
        parameter.zero_()
    return zeros
