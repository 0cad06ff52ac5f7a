import time

import numpy as np
import pytest
import torch

from minerkit.embeddings.encoders import forward
from minerkit.embeddings.encoders.forward import Forward
from minerkit.errors import EncoderError


@pytest.fixture(scope="module")
def model(minilm):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(minilm, device="cpu")


@pytest.fixture
def seen(monkeypatch) -> list[tuple[object, tuple[int, int], int]]:
    """What the model is given: which model, the shape of a batch, and its tokens without padding."""
    from sentence_transformers import SentenceTransformer

    batches, original = [], SentenceTransformer.forward

    def watched(self, features, **kwargs):
        mask = features["attention_mask"]
        batches.append((self, tuple(mask.shape), int(mask.sum())))
        return original(self, features, **kwargs)

    monkeypatch.setattr(SentenceTransformer, "forward", watched)
    return batches


@pytest.fixture
def texts(sample_pairs) -> list[str]:
    return [*sample_pairs["query"][:150], *sample_pairs["positive"][:50]]


def test_batches_keep_to_the_budget_with_little_padding(model, seen, texts, monkeypatch):
    monkeypatch.setattr(forward, "CPU_BUDGET", 256)
    Forward(model, "float32")(texts, "", "query")
    sizes = [rows * width for _, (rows, width), _ in seen]
    assert sum(rows for _, (rows, _), _ in seen) == len(texts)
    assert max(sizes) <= forward.CPU_BUDGET
    assert sum(sizes) / sum(tokens for _, _, tokens in seen) < 1.05


def test_a_batch_is_the_work_of_one_thread(model, texts, monkeypatch, two_threads):
    from sentence_transformers import SentenceTransformer

    threads, original = [], SentenceTransformer.forward

    def watched(self, features, **kwargs):
        threads.append(torch.get_num_threads())
        return original(self, features, **kwargs)

    monkeypatch.setattr(SentenceTransformer, "forward", watched)
    monkeypatch.setattr(forward, "CPU_BUDGET", 256)
    Forward(model, "float32")(texts, "", "query")
    assert len(threads) > 4
    assert set(threads) == {1}


def test_a_text_longer_than_the_budget_is_a_batch(model, seen, monkeypatch):
    monkeypatch.setattr(forward, "CPU_BUDGET", 16)
    rows = Forward(model, "float32")(["word " * 50, "a", "b"], "", "query")
    assert sorted(shape for _, shape, _ in seen) == [(1, 52), (2, 3)]
    assert np.allclose(rows, model.encode(["word " * 50, "a", "b"]), atol=1e-5)


def test_tokens_come_in_chunks_and_the_order_stays(model, texts, monkeypatch):
    expected = Forward(model, "float32")(texts, "", "query")
    monkeypatch.setattr(forward, "CHUNK", 60)
    monkeypatch.setattr(forward, "CHUNK_BYTES", 3000)
    assert np.allclose(Forward(model, "float32")(texts, "", "query"), expected, atol=1e-5)


@pytest.mark.slow
def test_replicas_share_the_work_and_give_the_same(model, seen, texts):
    alone = Forward(model, "float32")(texts, "", "query")
    seen.clear()
    assert (Forward(model, "float32", ["cpu"])(texts, "", "query") == alone).all()
    assert len({id(used) for used, _, _ in seen}) == 2


def test_pooling_leaves_the_prompt_out_where_the_model_says_so(model, monkeypatch):
    monkeypatch.setattr(model[1], "include_prompt", False)
    texts = ["a dog barks", "an egg is boiled for a long time"]
    rows = Forward(model, "float32")(texts, "search for this: ", "query")
    assert np.allclose(rows, model.encode(texts, prompt="search for this: "), atol=1e-5)


def test_a_model_without_a_transformer_runs_too(texts):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = sorted({word for text in texts for word in text.split()})
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=words[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    static = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=16)], device="cpu")
    assert np.allclose(Forward(static, "float32")(texts, "", "query"), static.encode(texts), atol=1e-6)


@pytest.mark.slow
def test_a_batch_that_does_not_fit_is_halved(model, texts, monkeypatch):
    from sentence_transformers import SentenceTransformer

    expected, original = Forward(model, "float32")(texts, "", "query"), SentenceTransformer.forward

    def small(self, features, **kwargs):
        if features["attention_mask"].numel() > 300:
            raise torch.OutOfMemoryError
        return original(self, features, **kwargs)

    monkeypatch.setattr(SentenceTransformer, "forward", small)
    assert np.allclose(Forward(model, "float32")(texts, "", "query"), expected, atol=1e-5)


def test_a_text_that_does_not_fit_alone_is_one_line(model, monkeypatch):
    from sentence_transformers import SentenceTransformer

    def full(self, features, **kwargs):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(SentenceTransformer, "forward", full)
    with pytest.raises(EncoderError, match=r"no memory for one text.*encoder\.max_length"):
        Forward(model, "float32")(["a", "b"], "", "query")


def test_an_interrupt_stops_the_work(model, seen, texts, monkeypatch, two_threads):
    from sentence_transformers import SentenceTransformer

    quick = SentenceTransformer.forward

    def slow(self, features, **kwargs):
        time.sleep(0.05)  # there is time for an interrupt before all of the many batches are done
        return quick(self, features, **kwargs)

    def stop(count):
        raise KeyboardInterrupt

    monkeypatch.setattr(SentenceTransformer, "forward", slow)
    monkeypatch.setattr(forward, "CPU_BUDGET", 64)
    with pytest.raises(KeyboardInterrupt):
        Forward(model, "float32")(texts, "", "query", stop)
    assert sum(rows for _, (rows, _), _ in seen) < len(texts)
    assert torch.get_num_threads() == 2
