import polars as pl
import pytest

from minerkit.errors import EncoderError
from minerkit.reports.stats.column_stats import dataset_stats
from minerkit.reports.stats.token_lengths import token_lengths

TEXTS = ["hello world", None, "", "半导体" * 200, "a " * 1000, *(f"text number {i}" for i in range(300))]


@pytest.fixture(scope="module")
def lengths(minilm):
    return token_lengths(minilm)


def test_tokens_are_counted_as_the_model_sees_them(lengths):
    found = lengths(pl.Series("text", TEXTS)).to_list()
    assert found[:5] == [4, None, 2, 256, 256]  # [CLS] and [SEP] count, and the model reads 256 at most
    assert found[5:] == [5] * 300


def test_nulls_and_empty_series_have_no_tokens(lengths):
    assert lengths(pl.Series("text", [], dtype=pl.String)).to_list() == []
    assert lengths(pl.Series("text", [None], dtype=pl.String)).to_list() == [None]


def test_tokens_are_counted_correctly_from_several_threads(lengths, tmp_path):
    pl.DataFrame({"a": TEXTS * 20, "b": TEXTS * 20}).write_parquet(tmp_path / "t.parquet", row_group_size=100)
    found = dataset_stats(pl.scan_parquet(tmp_path / "t.parquet"), None, lengths)["statistics"]
    assert found["a"] == found["b"]
    assert found["a"]["details"]["max"] == "256 tokens"


def test_a_cross_encoder_counts_tokens_as_well(minilm, tmp_path):
    from sentence_transformers import CrossEncoder

    CrossEncoder(minilm, num_labels=1, device="cpu", max_length=16).save_pretrained(str(tmp_path / "model"))
    found = token_lengths(str(tmp_path / "model"))(pl.Series(["hello world", "a " * 100]))
    assert found.to_list() == [4, 16]


def test_a_model_without_an_attention_mask_counts_no_tokens(tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    module = StaticEmbedding(Tokenizer(WordLevel({"?": 0}, unk_token="?")), embedding_dim=4)
    SentenceTransformer(modules=[module], device="cpu").save(str(tmp_path / "model"))
    assert token_lengths(str(tmp_path / "model")) is None


@pytest.mark.parametrize("model", ["./none", "nobody/nothing"])
def test_a_missing_model_is_one_clear_line(model):
    with pytest.raises(EncoderError, match=f"--model.*{model}") as error:
        token_lengths(model)
    assert "\n" not in str(error.value)
