import numpy as np
import pytest
import torch

from minerkit.embeddings.encoders import precision
from minerkit.embeddings.encoders.forward import Forward
from minerkit.embeddings.encoders.precision import choose_precision


@pytest.fixture
def model(minilm):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(minilm, device="cpu")


def test_half_precision_is_taken_where_it_is_native_and_changes_nothing(model, monkeypatch):
    monkeypatch.setattr(precision, "native_half", lambda device: "bfloat16")
    assert choose_precision(model) == "bfloat16"
    monkeypatch.setattr(precision, "native_half", lambda device: None)
    assert choose_precision(model) == "float32"


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoil", [lambda rows: rows + np.eye(1, rows.shape[1]) * 0.1, lambda rows: rows * np.nan]
)
def test_a_model_that_half_precision_changes_stays_in_float32(model, monkeypatch, spoil):
    monkeypatch.setattr(precision, "native_half", lambda device: "bfloat16")
    original = Forward.__call__

    def off(self, texts, prompt, task):
        rows = original(self, texts, prompt, task)
        if self._precision == "bfloat16":
            rows[3:4] = spoil(rows[3:4])  # one text is enough
        return rows

    monkeypatch.setattr(Forward, "__call__", off)
    assert choose_precision(model) == "float32"


def test_a_model_in_half_precision_or_without_a_transformer_is_left_as_it_is(model, monkeypatch):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    monkeypatch.setattr(precision, "native_half", lambda device: "bfloat16")
    static = SentenceTransformer(modules=[StaticEmbedding(model.tokenizer, embedding_dim=8)], device="cpu")
    assert choose_precision(static) == "float32"
    assert choose_precision(model.to(torch.bfloat16)) == "float32"
