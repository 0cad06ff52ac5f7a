"""The base model `scratch`, created from a run's own text."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from sentence_transformers import CrossEncoder, SentenceTransformer
from transformers import AutoTokenizer

from minerkit.training.scratch_model import scratch_folder

TEXTS = pl.Series(
    [
        "How is a wafer polished?",
        "A wafer is polished with a slurry and a rotating pad.",
        "晶圆如何抛光？",
        "晶圆用研磨液和旋转的抛光垫抛光。",
        "Ｆｕｌｌ width",
    ]
)
PRINT_DIGEST = """
import hashlib, sys
import polars as pl
from minerkit.training.scratch_model import scratch_folder
folder = scratch_folder(pl.Series(sys.argv[1:]), "cross_encoder", 12)
for name in ("tokenizer.json", "model.safetensors"):
    print(hashlib.sha256((folder / name).read_bytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def folder() -> Path:
    return scratch_folder(TEXTS, "cross_encoder", 12)


def test_a_cross_encoder_returns_one_finite_score_per_pair(folder):
    model = CrossEncoder(str(folder), device="cpu")
    scores = model.predict([("晶圆如何抛光？", "A wafer is polished."), ("How?", "never seen zebra")])
    assert model.num_labels == 1
    assert scores.shape == (2,)
    assert abs(scores).max() < float("inf")


def test_a_sentence_transformer_has_mean_pooling():
    model = SentenceTransformer(str(scratch_folder(TEXTS, "sentence_transformer", 12)), device="cpu")
    assert model[1].pooling_mode == "mean"
    assert model.encode(["How is a wafer polished?", "晶圆"]).shape == (2, 128)


@pytest.mark.slow
def test_every_process_creates_the_same_bytes(tmp_path):
    digests = set()
    for seed in ("1", "2"):
        cache = {"MINERKIT_CACHE": str(tmp_path / seed), "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", PRINT_DIGEST, *TEXTS]
        digests.add(subprocess.run(command, env=os.environ | cache, capture_output=True, check=True).stdout)
    assert len(digests) == 1


def test_the_seed_changes_the_weights_and_not_the_tokenizer(folder):
    other = scratch_folder(TEXTS, "cross_encoder", 13)
    assert (folder / "tokenizer.json").read_bytes() == (other / "tokenizer.json").read_bytes()
    assert (folder / "model.safetensors").read_bytes() != (other / "model.safetensors").read_bytes()


def test_texts_and_family_are_part_of_the_cache_key(folder):
    assert scratch_folder(TEXTS[:4], "cross_encoder", 12) != folder
    assert scratch_folder(TEXTS, "sentence_transformer", 12) != folder


def test_a_cached_model_is_not_created_again(folder):
    created = (folder / "model.safetensors").stat().st_mtime_ns
    assert scratch_folder(TEXTS, "cross_encoder", 12) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == created
    assert {path.name for path in folder.parent.iterdir() if path.name.startswith("tmp")} == set()


def test_a_pair_is_encoded_with_special_tokens_and_segments(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoded = tokenizer("wafer", "wafer pad", return_tensors=None)
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    end = tokens.index("[SEP]") + 1
    assert (tokens[0], tokens[-1], tokens.count("[SEP]")) == ("[CLS]", "[SEP]", 2)
    assert encoded["token_type_ids"] == [0] * end + [1] * (len(tokens) - end)
    assert tokenizer.convert_tokens_to_ids(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]) == [0, 1, 2, 3, 4]


def test_each_chinese_character_is_a_token(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.tokenize("晶圆抛光") == list("晶圆抛光")


def test_case_and_character_width_are_ignored(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.tokenize("ＷＡＦＥＲ") == tokenizer.tokenize("wafer") == ["wafer"]


def test_an_untrained_cross_encoder_flags_shared_words(folder):
    """The flag at [CLS] after the second layer grows with the share of the question's words in the text."""
    import torch

    model = CrossEncoder(str(folder), device="cpu")
    question = "晶圆用研磨液"
    texts = ["晶圆用研磨液", "晶圆用水", "polished with a pad"]
    encoded = model.tokenizer([question] * 3, texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        flags = model.model.bert(**encoded).last_hidden_state[:, 0, -1].tolist()
    assert flags == sorted(flags, reverse=True)
    assert flags[0] > flags[2] + 1


def test_the_model_is_small(folder):
    config = json.loads((folder / "config.json").read_text())
    assert (config["num_hidden_layers"], config["hidden_size"]) == (2, 128)
