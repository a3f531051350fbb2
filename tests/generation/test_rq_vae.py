"""The autoencoder of semantic ids: what it learns, unused centres, same bytes.

pytest tests/generation/test_rq_vae.py
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from src.embeddings.generator import GeneratorEmbedding
from src.generation.ids import Quantiser, semantic_ids
from src.generation.rq_vae import RqVae, autoencoded

GROUPS, EACH = 6, 12


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Items around a few centres, beside numbers that say nothing."""
    rng = np.random.default_rng(1)
    around = np.repeat(rng.normal(size=(GROUPS, 8)) * 3, EACH, axis=0)
    return (around + rng.normal(size=around.shape) * 0.2).astype(np.float32)


def first_ones(vectors: np.ndarray, size: int, seed: int) -> np.ndarray:
    """A bad start: all centres but one are far from all vectors."""
    centres = np.full((size, vectors.shape[1]), 50, np.float32)
    centres[0] = vectors[0]
    return centres


def test_ids_of_a_group_share_a_prefix(vectors: np.ndarray) -> None:
    listed = np.arange(len(vectors))
    ids = semantic_ids(vectors, listed, Quantiser((GROUPS, 4), autoencoder=60), seed=3)
    groups = ids.codes[:, 0].reshape(GROUPS, EACH)
    assert (groups == groups[:, :1]).all() and np.unique(groups).size == GROUPS
    assert len(np.unique(ids.codes, axis=0)) == listed.size and len(ids.centres) == 2
    plain = semantic_ids(vectors, listed, Quantiser((GROUPS, 4)), seed=3)
    assert ids.centres[0].shape != plain.centres[0].shape, "of the latent vectors"


def test_training_lowers_the_loss(vectors: np.ndarray) -> None:
    """It moves the encoder too: the gradient goes straight through the codes."""
    torch.manual_seed(1)
    net, x = RqVae(8), torch.from_numpy(vectors)
    net.centres.append(torch.nn.Parameter(net.encoder(x[::EACH]).detach()))
    used = [torch.zeros(GROUPS, dtype=torch.int64)]
    adam = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(80):
        adam.zero_grad()
        loss = net.loss(x, used)
        loss.backward()
        losses.append(loss.item())
        adam.step()
    assert losses[-1] < 0.4 * losses[0] and used[0].sum() == 80 * len(x)
    net.zero_grad()
    latent = net.encoder(x)
    error = torch.nn.functional.mse_loss(net.decoder(latent), x)
    error.backward()
    plain = net.encoder[0].weight.grad.clone()
    net.zero_grad()
    net.loss(x, used).backward()
    through = net.encoder[0].weight.grad
    assert torch.cosine_similarity(plain.ravel(), through.ravel(), 0) > 0.3


def test_centres_that_no_vector_takes_are_seeded_again(vectors: np.ndarray) -> None:
    latent, centres = autoencoded(vectors, (GROUPS,), 40, 3, first_ones)
    distance = np.linalg.norm(latent[:, None] - centres[0], axis=2)
    assert np.unique(distance.argmin(axis=1)).size >= GROUPS - 1


def test_same_seed_same_bytes(vectors: np.ndarray) -> None:
    """For any number of threads; torch's own generator and threads stay as they were."""
    threads, draws = torch.get_num_threads(), torch.get_rng_state()
    found = []
    for number in (1, 2):
        torch.set_num_threads(number)
        latent, centres = autoencoded(vectors, (4, 4), 3, 3, lambda v, size, seed: v[:size])
        found.append([latent.tobytes(), *(c.tobytes() for c in centres)])
        assert torch.get_num_threads() == number
    torch.set_num_threads(threads)
    assert found[0] == found[1] and torch.equal(draws, torch.get_rng_state())


def test_a_catalogue_smaller_than_a_codebook_is_served(vectors: np.ndarray) -> None:
    few = Quantiser((256, 256), autoencoder=2)
    ids = semantic_ids(vectors, np.array([4, 30]), few, seed=3)
    assert ids.codes[4, 0] != ids.codes[30, 0]
    none = semantic_ids(vectors, np.array([], np.int64), few, seed=3)
    assert (none.codes == -1).all()


@pytest.mark.parametrize("change", [{"nested": True}, {"vectors": ()}, {"sizes": ()}])
def test_what_it_cannot_code_is_refused(change: dict[str, object]) -> None:
    row: dict[str, object] = {"vectors": ("w2v",), "autoencoder": 9, **change}
    with pytest.raises(ValueError, match="an autoencoder needs vectors and sizes"):
        GeneratorEmbedding("tiger", **row)  # type: ignore[arg-type]
