"""The real all-MiniLM-L6-v2: its vectors, what identifies them, and what the cache makes of both."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from minerkit.embeddings.cache import EmbeddingCache
from minerkit.embeddings.encoders.sentence_transformer import SentenceTransformerEncoder
from minerkit.errors import EncoderError
from minerkit.recipe.recipe import Encoder

PASSAGES = (
    "A dog barks at night.",
    "An egg is cooked for ten minutes, then put into cold water so that it peels well.",
    "",
    "光刻机是制造芯片的核心设备。",
    "word " * 400,
)


def load(model: str, **spec) -> SentenceTransformerEncoder:
    return SentenceTransformerEncoder(Encoder(model=str(model), **spec), "cpu")


@pytest.fixture(scope="module")
def library(minilm):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(minilm, device="cpu")


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.slow
def test_vectors_are_those_of_the_library_in_the_order_of_the_texts(minilm, library, sample_pairs):
    texts = [*PASSAGES, *sample_pairs["positive"][:100], *sample_pairs["query"][:100]]
    told: list[int] = []
    rows = load(minilm).encode(texts, "document", told.append)
    assert cosines(rows, library.encode(texts)).min() >= 0.999
    assert (rows.dtype, sum(told)) == (np.float32, len(texts))
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    "spec",
    [
        {"query_prompt": "query: ", "truncate_dim": 32, "max_length": 8},
        pytest.param({"query_prompt": "query: "}, marks=pytest.mark.slow),
        pytest.param({"truncate_dim": 32}, marks=pytest.mark.slow),
        pytest.param({"max_length": 8}, marks=pytest.mark.slow),
    ],
)
def test_prompts_and_cuts_are_those_of_the_library(minilm, spec):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(minilm, device="cpu", truncate_dim=spec.get("truncate_dim"))
    model.max_seq_length = spec.get("max_length", 256)
    expected = model.encode(list(PASSAGES), prompt=spec.get("query_prompt"), normalize_embeddings=True)
    assert cosines(load(minilm, **spec).encode(PASSAGES, "query"), expected).min() >= 0.999


def test_vectors_keep_their_length_where_the_recipe_says_so(minilm, tmp_path, library):
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(modules=[library[0], library[1]]).save_pretrained(str(tmp_path / "long"))
    rows = load(tmp_path / "long", normalize=False).encode(PASSAGES, "query")
    assert np.linalg.norm(rows, axis=1).min() > 1.5


def changed(minilm: str, folder, what: str) -> dict:
    """Copy the model with one thing changed; give the recipe's section."""
    shutil.copytree(minilm, folder)
    if what == "weights":
        from safetensors.torch import load_file, save_file

        tensors = load_file(folder / "model.safetensors")
        tensors["embeddings.word_embeddings.weight"][1000, 7] += 0.001
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    if what == "pooling":
        file = folder / "1_Pooling" / "config.json"
        file.write_text(
            json.dumps({"word_embedding_dimension": 384, "pooling_mode_cls_token": True,
                        "pooling_mode_mean_tokens": False})
        )  # fmt: skip
    values = {"query_prompt": "query: ", "max_length": 64, "dtype": "float32"}
    values |= {"truncate_dim": 100, "normalize": False}
    return {"model": str(folder), **({what: values[what]} if what in values else {})}


CHANGES = [
    "weights",
    "query_prompt",
    "max_length",
    "dtype",
    "pooling",
    "truncate_dim",
    "normalize",
]


@pytest.fixture(scope="module")
def cached(minilm, tmp_path_factory) -> Path:
    """A folder of embeddings made with the encoder as it is."""
    folder = tmp_path_factory.mktemp("cache")
    assert asked_of({"model": minilm}, folder) == len(PASSAGES)
    return folder


def asked_of(spec: dict, folder: Path) -> int:
    """Count the texts that an encoder has to encode, given a cache."""
    encoder, asked = load(**spec), []

    def encode(part, done):
        asked.extend(part)
        return encoder.encode(part, "query", done)

    EmbeddingCache(encoder.fingerprint("query"), encoder.dtype, folder).embed(pl.Series(PASSAGES), encode)
    return len(asked)


def test_the_same_encoder_finds_all_in_the_cache(minilm, cached):
    assert asked_of({"model": minilm}, cached) == 0


@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=[pytest.mark.slow] * (at > 1)) for at, what in enumerate(CHANGES)]
)
def test_a_changed_encoder_misses_the_cache(minilm, cached, tmp_path, what):
    spec = changed(minilm, tmp_path / "model", what)
    assert asked_of(spec, cached) == len(PASSAGES)


def test_a_folder_has_no_revisions(minilm):
    with pytest.raises(EncoderError, match=r"encoder\.revision: .* is a folder and has none; leave it out"):
        load(minilm, revision="main")


def test_texts_of_any_length_are_not_cut(tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=2)]).save_pretrained(str(tmp_path))
    assert load(tmp_path).encode(["a"], "query").shape == (1, 2)
    with pytest.raises(
        EncoderError, match=r"encoder\.max_length: .* takes texts of any length; leave it out"
    ):
        load(tmp_path, max_length=8)


@pytest.mark.slow
def test_a_model_in_another_folder_is_the_same(minilm, tmp_path):
    shutil.copytree(minilm, tmp_path / "model")
    assert load(tmp_path / "model").fingerprint("query") == load(minilm).fingerprint("query")


def test_another_precision_is_another_encoder(minilm, monkeypatch):
    from minerkit.embeddings.encoders import sentence_transformer

    found = set()
    for precision in ("float32", "bfloat16"):
        monkeypatch.setattr(sentence_transformer, "choose_precision", lambda model, it=precision: it)
        found.add(load(minilm).fingerprint("query"))
    assert len(found) == 2


@pytest.mark.slow
def test_one_percent_more_texts_encode_only_those_and_leave_the_others(minilm, tmp_path, sample_pairs):
    encoder, asked = load(minilm), []

    def encode(part, done):
        asked.append(list(part))
        return encoder.encode(part, "document", done)

    texts = sample_pairs["positive"].unique(maintain_order=True).head(200)
    more = pl.concat([pl.Series(["a text that is new", "and another"]), texts])
    cache = EmbeddingCache("one", "float16", tmp_path)
    before, after = (cache.embed(some, encode) for some in (texts, more))
    assert sorted(asked[1]) == ["a text that is new", "and another"]
    assert before.take(0, len(texts)).tolist() == after.take(2, len(more)).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_number_of_threads_changes_no_bit(minilm, monkeypatch, sample_pairs, precision):
    from minerkit.embeddings.encoders import sentence_transformer

    monkeypatch.setattr(sentence_transformer, "choose_precision", lambda model: precision)
    texts = sample_pairs["query"][:300].to_list()
    encoder, before = load(minilm), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(encoder.encode(texts, "query"))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()
