"""A sentence encoder from a folder: a tiny one made here; folders that are none.

pytest tests/texts/test_sentence.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from warnings import catch_warnings, simplefilter

import numpy as np
import pytest
from needs import needs_package
from planted import run_in

from src.texts.sentence import LISTED, SentenceEncoder
from src.texts.vectors import encode_distinct, encoder_of


def tiny_model(folder: Path) -> SentenceEncoder:
    """Write a random BERT of two layers, with the words "red", "blue" and "big"."""
    needs_package("sentence_transformers", LISTED)
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "blue", "big"]
    (folder / "vocab.txt").write_text("\n".join(words))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), num_hidden_layers=2, max_position_embeddings=32, hidden_size=16,
        num_attention_heads=2, intermediate_size=16,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt"), model_max_length=32).save_pretrained(folder)
    return SentenceEncoder(str(folder), package=None)


def test_vectors_depend_on_their_text_alone(tmp_path: Path) -> None:
    """Not on what else is encoded, nor on the threads; a text of 10 kB is cut, an emoji served."""
    encoder, texts = tiny_model(tmp_path / "model"), ["red", "", "big blue", "🎉🎉", "red " * 2500]
    run = run_in(tmp_path / "one")
    with catch_warnings():
        simplefilter("ignore")  # of the libraries
        vectors = encode_distinct(encoder_of(run, encoder, texts), texts)
        alone = encoder.fit([])(["big blue"])
    assert vectors.shape == (5, 16) and np.isfinite(vectors).all()
    assert vectors.any(axis=1).tolist() == [True, False, True, True, True]
    assert np.array_equal(alone[0], vectors[2]) and not np.allclose(vectors[0], vectors[2])
    assert list((run.output / "texts").rglob("part-*.parquet"))
    again = encoder_of(run, replace(encoder), texts)
    again.__dict__["encode"] = None  # it would have to load the model
    assert np.array_equal(encode_distinct(again, texts[::-1])[::-1], vectors)


def test_other_weights_are_another_encoder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    before = SentenceEncoder(str(folder), package=None).identity()
    (folder / "model.safetensors").write_bytes(b"1")
    assert SentenceEncoder(str(folder), package=None).identity() != before


def test_what_is_no_encoder_is_refused_in_one_line(tmp_path: Path) -> None:
    for folder, package, said in (
        ("none", None, "none is no folder; name that of a sentence encoder"),
        (
            str(tmp_path),
            None,
            "is no sentence encoder: it has neither config.json nor modules.json",
        ),
        ("model", "no_such_package", "not installed: pip install -r requirements-texts.txt"),
        ("model", "json", "json/model is no folder"),
    ):
        with pytest.raises((FileNotFoundError, ValueError), match=said) as error:
            SentenceEncoder(folder, package).fit([])
        assert "\n" not in str(error.value)
    needs_package("sentence_transformers", LISTED)
    for text in ("{}", "[]", "not json", '{"model_type": "bert"}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ValueError, match="is no sentence encoder: ") as error:
            SentenceEncoder(str(tmp_path), None).fit([])
        assert "\n" not in str(error.value)
