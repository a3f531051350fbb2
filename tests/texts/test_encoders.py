"""TF-IDF against scikit-learn's own pipeline; texts of any kind; the cache; whitening.

pytest tests/texts/test_encoders.py
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from planted import run_in
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from threadpoolctl import threadpool_limits

from src.core.arrays import F32
from src.texts.base import Encode, TextEncoder
from src.texts.tfidf import TfidfEncoder
from src.texts.vectors import encode_distinct, encoder_of
from src.texts.whitening import Whitening

RNG = np.random.default_rng(3)
WORDS = [f"word{n}" for n in range(40)]
TEXTS = [" ".join(RNG.choice(WORDS, 5)) for _ in range(200)]


def test_tfidf_is_that_of_scikit_learn() -> None:
    terms = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, dtype=np.float32)
    counts = terms.fit_transform(TEXTS)
    wanted = TruncatedSVD(8, n_iter=7, random_state=0).fit(counts).transform(counts)
    found = TfidfEncoder(dim=8).fit(TEXTS)(TEXTS)
    np.testing.assert_allclose(found, wanted * np.sign((wanted * found).sum(axis=0)), atol=1e-5)


def test_the_number_of_threads_changes_no_bit() -> None:
    """Bigger than what one thread takes alone."""
    texts = [" ".join(RNG.choice(WORDS, 30)) for _ in range(3000)]
    made = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            vectors = TfidfEncoder(dim=32).fit(texts)(texts)
            made += [vectors, Whitening(16).fit(vectors).apply(vectors)]
    assert np.array_equal(made[0], made[2]) and np.array_equal(made[1], made[3])


def test_a_short_vocabulary_leaves_the_last_numbers_0() -> None:
    vectors = TfidfEncoder(dim=10, ngrams=(1, 1)).fit(["a b", "b c", "c a"])(["a", "zzz", "🎉🎉"])
    assert vectors.shape == (3, 10) and vectors.dtype == np.float32
    assert vectors[0, :3].any() and not vectors[0, 3:].any() and not vectors[1:].any()


def test_characters_find_what_words_do_not() -> None:
    """Chinese has no blanks between words."""
    texts = ["红烧牛肉面馆", "牛肉面馆推荐", "手机充值优惠", "话费充值优惠"]
    near = TfidfEncoder(dim=3, analyzer="char", ngrams=(2, 4)).fit(texts)(texts)
    cosine = near @ near.T
    assert cosine[0, 1] > 0.2 > abs(cosine[0, 2]) and cosine[2, 3] > 0.2
    with pytest.raises(ValueError, match=r'no two terms stand in 2 texts; .* analyzer "char"'):
        TfidfEncoder().fit(texts)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"analyzer": "words"}, "analyzer 'words' not in"),
        ({"dim": 0}, "at least 1"),
        ({"ngrams": (3, 2)}, "in order"),
    ],
)
def test_bad_rows_are_refused(fields: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TfidfEncoder(**fields)


def vectors_of(n: int, dim: int) -> F32:
    """Draw vectors whose axes are correlated and differ in size."""
    return (RNG.normal(size=(n, dim)) @ RNG.normal(size=(dim, dim)) + 3).astype(np.float32)


def test_whitened_covariance_is_the_identity() -> None:
    vectors = vectors_of(500, 12)
    z = Whitening(8, shrinkage=0).fit(vectors).apply(vectors)
    np.testing.assert_allclose(np.cov(z.T), np.eye(8), atol=1e-3)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-3)
    twin = PCA(8, whiten=True).fit_transform(vectors.astype(np.float64))
    twin *= np.sign((twin * z).sum(axis=0))
    np.testing.assert_allclose(z, twin, atol=1e-3)


def test_shrinkage_dampens_the_small_axes() -> None:
    vectors = vectors_of(500, 12)
    variance = np.sort(np.linalg.eigvalsh(np.cov(vectors.T)))[::-1]
    z = Whitening(12, shrinkage=0.2).fit(vectors).apply(vectors)
    wanted = variance / (0.8 * variance + 0.2 * variance.mean())
    np.testing.assert_allclose(np.diag(np.cov(z.T)), wanted, rtol=1e-3)


def test_the_sign_of_an_axis_is_fixed() -> None:
    """Its largest number is positive, whatever the solver returns."""
    for seed in range(5):
        vectors = vectors_of(50, 6)[np.random.default_rng(seed).permutation(50)]
        axes = Whitening(6).fit(vectors).axes
        assert (axes[np.abs(axes).argmax(axis=0), np.arange(6)] > 0).all()


def test_texts_that_are_all_alike_are_refused() -> None:
    """Rounding noise would be scaled to variance 1."""
    same = np.tile(vectors_of(1, 8), (30, 1)) + RNG.normal(scale=1e-7, size=(30, 8))
    with pytest.raises(ValueError, match="the texts are all alike"):
        Whitening(4).fit(same.astype(np.float32))
    flat = vectors_of(30, 3) @ RNG.normal(size=(3, 8))
    with pytest.raises(ValueError, match="have 3 dimensions; lower dim to 3"):
        Whitening(4).fit(flat.astype(np.float32))
    with pytest.raises(ValueError, match="1 different texts"):
        Whitening(1).fit(same[:1])


@dataclass(frozen=True)
class Counted(TextEncoder):
    """Encodes a text to its length and counts the calls; blank texts have no 0 by themselves."""

    learns: ClassVar[bool] = False
    seen: ClassVar[list[str]] = []
    factor: float = 1.0

    def fit(self, texts: Sequence[str]) -> Encode:
        def encode(more: Sequence[str]) -> F32:
            self.seen.extend(more)
            sizes = np.array([[len(text) + 1, 1] for text in more], np.float32)
            return self.factor * sizes.reshape(-1, 2)

        return encode

    def memory(self, texts: int, characters: int) -> float:
        return 0.0


def test_each_different_text_is_encoded_once_and_kept(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    Counted.seen.clear()
    texts = ["bb", "a", " bb ", "", " \n", "bb"]
    vectors = encode_distinct(encoder_of(run, Counted(), texts), texts)
    assert vectors.tolist() == [[3, 1], [2, 1], [3, 1], [0, 0], [0, 0], [3, 1]]
    encode = encoder_of(run, Counted(), ["a", "ccc"])
    shutil.rmtree(tmp_path / "texts")  # what it knows is at hand
    assert encode_distinct(encode, ["ccc", "", "a"]).tolist() == [[4, 1], [0, 0], [2, 1]]
    assert Counted.seen == ["a", "bb", "ccc"]
    assert encode_distinct(encode, ["new", "a"]).tolist() == [[4, 1], [2, 1]]
    assert Counted.seen.pop() == "new" and not (tmp_path / "texts").exists()
    other = encode_distinct(encoder_of(run, Counted(factor=2.0), ["a"]), ["a"])
    assert other.tolist() == [[4, 2]], "another row has its own folder"
    assert encode_distinct(encoder_of(run, Counted(), []), ["", " "]).tolist() == [[0, 0]] * 2
    assert not list(tmp_path.rglob(".part*"))


def test_a_killed_encoder_keeps_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.texts.vectors.PART", 2)
    run, texts = run_in(tmp_path), [f"{n:03d}" for n in range(6)]

    def progress(self: object, firsts: Sequence[int], *_: object) -> Sequence[int]:
        yield firsts[0]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("src.core.run.Run.progress", progress)
        encoder_of(run, Counted(), texts)
    Counted.seen.clear()
    encoder_of(run, Counted(), texts)
    assert Counted.seen == texts[2:]
