import json

import pytest

from minerkit.errors import EncoderError
from minerkit.runtime.models import load_model, model_family


def test_a_saved_model_says_what_it_is(reranker, minilm):
    assert model_family(reranker) == "cross_encoder"
    assert model_family(minilm) == "sentence_transformer"


@pytest.mark.parametrize(
    ("head", "family"),
    [("BertForSequenceClassification", "cross_encoder"), ("BertModel", "sentence_transformer"), (None,) * 2],
)
def test_a_plain_transformer_is_known_by_its_head(tmp_path, head, family):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": head and [head]}))
    assert model_family(str(tmp_path)) == (family or "sentence_transformer")


def test_other_kinds_are_refused(tmp_path):
    (tmp_path / "config_sentence_transformers.json").write_text('{"model_type": "SparseEncoder"}')
    with pytest.raises(EncoderError, match="is a SparseEncoder"):
        model_family(str(tmp_path))


@pytest.mark.parametrize("name", ["./nowhere", "/no/where", "runs/gooaq/model", "nobody/nothing", "a b"])
def test_a_model_that_is_not_there_is_one_clear_line(name):
    for attempt in (lambda: model_family(name), lambda: load_model(name, "cross_encoder", "cpu")):
        with pytest.raises(EncoderError) as caught:
            attempt()
        message = str(caught.value)
        assert name in message and "\n" not in message


def test_an_empty_folder_and_damaged_weights_are_told_apart(tmp_path, reranker):
    import shutil

    with pytest.raises(EncoderError, match="holds no model"):
        load_model(str(tmp_path), "cross_encoder", "cpu")
    shutil.copytree(reranker, tmp_path / "torn")
    (tmp_path / "torn" / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(EncoderError, match="torn: the model cannot be loaded"):
        load_model(str(tmp_path / "torn"), "cross_encoder", "cpu")
    (tmp_path / "torn" / "config.json").write_text("{")
    with pytest.raises(EncoderError, match="cannot be loaded"):
        model_family(str(tmp_path / "torn"))


def test_a_new_head_is_the_same_every_time(minilm, capfd):
    import torch

    pair = [("a question", "an answer")]
    before = torch.get_rng_state()
    scores = [float(load_model(minilm, "cross_encoder", "cpu").predict(pair)[0]) for _ in range(2)]
    assert scores[0] == scores[1]
    assert torch.equal(torch.get_rng_state(), before)
    assert "MISSING" not in capfd.readouterr().err


def test_a_classifier_of_several_classes_is_no_reranker(tmp_path, reranker):
    from sentence_transformers import CrossEncoder

    CrossEncoder(reranker, num_labels=3, model_kwargs={"ignore_mismatched_sizes": True}).save_pretrained(
        str(tmp_path)
    )
    with pytest.raises(EncoderError, match="3 scores a pair"):
        load_model(str(tmp_path), "cross_encoder", "cpu")
