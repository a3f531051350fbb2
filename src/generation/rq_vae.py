"""An autoencoder whose middle is quantised (RQ-VAE): vectors and centres for semantic ids.

Lee et al., "Autoregressive Image Generation using Residual Quantization", CVPR 2022; for ids of
items: Rajput et al., "Recommender Systems with Generative Retrieval", NeurIPS 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from src.core.arrays import F32

HIDDEN, LATENT = 128, 32  # units of both halves, numbers of the middle
BATCH, RATE = 1024, 1e-3  # vectors of a step, learning rate of AdamW
COMMITMENT = 0.25  # weight of the distance that moves the vectors, not the centres


class RqVae(nn.Module):
    """Encoder, decoder, and the centres of each level."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(dim, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, LATENT))
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, dim))
        self.centres = nn.ParameterList()

    def loss(self, vectors: Tensor, used: list[Tensor]) -> Tensor:
        """Return the loss of vectors (n, dim); count in `used` how many took each centre.

        The decoder reads the sum of the nearest centres; its gradient goes straight through to the
        encoder.
        """
        latent = self.encoder(vectors)
        rest, distance = latent, latent.new_zeros(())
        for centres, count in zip(self.centres, used, strict=True):
            code = torch.cdist(rest.detach(), centres.detach()).argmin(1)
            count += torch.bincount(code, minlength=len(count))
            near = centres[code]
            distance = distance + functional.mse_loss(near, rest.detach())
            distance = distance + COMMITMENT * functional.mse_loss(rest, near.detach())
            rest = rest - near
        sum_of_centres = latent - rest.detach()
        return functional.mse_loss(self.decoder(sum_of_centres), vectors) + distance

    @torch.no_grad()
    def seed_again(self, vectors: Tensor, used: list[Tensor]) -> None:
        """Move the centres that no vector took to what is left of vectors drawn at random."""
        rest = self.encoder(vectors)
        for centres, count in zip(self.centres, used, strict=True):
            unused = torch.nonzero(count == 0)[:, 0]
            drawn = torch.randint(len(rest), (len(unused),))
            centres[unused] = rest[drawn]
            rest = rest - centres[torch.cdist(rest, centres).argmin(1)]


def autoencoded(
    vectors: F32, sizes: Sequence[int], epochs: int, seed: int,
    centres_of: Callable[[F32, int, int], F32],
) -> tuple[F32, list[F32]]:  # fmt: skip
    """Train an autoencoder of vectors (n, dim); return their latent vectors and the centres.

    centres_of: finds the centres that a level begins with, given vectors, how many, and a seed.
    float32 (n, LATENT), and (centres, LATENT) of each level. The result does not depend on the
    number of threads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return _trained(vectors, sizes, epochs, seed, centres_of)
    finally:
        torch.set_num_threads(threads)


def _trained(
    vectors: F32, sizes: Sequence[int], epochs: int, seed: int,
    centres_of: Callable[[F32, int, int], F32],
) -> tuple[F32, list[F32]]:  # fmt: skip
    scale = max(float(vectors.std()), 1e-12)
    x, net = torch.from_numpy(vectors / np.float32(scale)), RqVae(vectors.shape[1])
    rest = net.encoder(x).detach().numpy()
    for level, size in enumerate(sizes):
        centres = centres_of(rest, size, seed + level)
        net.centres.append(nn.Parameter(torch.from_numpy(centres.copy())))
        distance = torch.cdist(torch.from_numpy(rest), torch.from_numpy(centres))
        rest = rest - centres[distance.argmin(1).numpy()]
    adam = torch.optim.AdamW(net.parameters(), lr=RATE)
    for epoch in range(epochs):
        used = [torch.zeros(len(centres), dtype=torch.int64) for centres in net.centres]
        for rows in torch.split(torch.randperm(len(x)), BATCH):
            adam.zero_grad()
            net.loss(x[rows], used).backward()  # type: ignore[no-untyped-call]
            adam.step()
        if epoch < epochs - 1:
            net.seed_again(x, used)
    with torch.no_grad():
        return net.encoder(x).numpy(), [centres.detach().numpy() for centres in net.centres]
