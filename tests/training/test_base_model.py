import shutil
from pathlib import Path

import pytest

from minerkit.errors import TrainingError
from minerkit.recipe.recipe import Recipe
from minerkit.training.base_model import check_base, load_base


def recipe_for(base: str, loss: str = "bce", **train) -> Recipe:
    return Recipe.model_validate(
        {"name": "r", "source": {"path": "p"}, "train": {"base": base, "loss": loss, **train}}
    )


def fault(recipe: Recipe) -> str:
    with pytest.raises(TrainingError) as error:
        check_base(recipe)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def folder(reranker, tmp_path) -> Path:
    return shutil.copytree(reranker, tmp_path / "base")


def test_scratch_needs_no_model():
    check_base(recipe_for("scratch"))


@pytest.mark.parametrize("loss", ["bce", "mnrl"])
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("nobody/nothing", "with no network, name a model folder; name another, or set train.base=scratch"),
        ("./missing", "train.base: ./missing: no such model folder"),
    ],
)
def test_a_missing_base_model(name, line, loss):
    assert line in fault(recipe_for(name, loss))


def test_a_folder_without_a_model(tmp_path):
    assert "holds no model" in fault(recipe_for(str(tmp_path)))


def test_damaged_weights(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "the model cannot be loaded: " in fault(recipe_for(str(folder)))


def test_a_base_without_a_vocabulary(folder):
    for file in folder.glob("*token*"):
        file.unlink()
    assert "holds no vocabulary for its tokenizer" in fault(recipe_for(str(folder)))


def test_a_max_length_above_the_limit_of_the_base_model(folder):
    assert "train.max_length: 513 is above the 512 tokens" in fault(recipe_for(str(folder), max_length=513))


def test_a_folder_has_no_revisions(folder):
    assert "train.revision: " in fault(recipe_for(str(folder), revision="main"))


@pytest.mark.parametrize(
    ("loss", "args", "similarity"),
    [
        ("mnrl", {}, "cosine"),
        ("mnrl", {"similarity": "dot"}, "dot"),
        ("margin-mse", {"similarity": "dot"}, "dot"),
    ],
)
def test_the_saved_model_has_the_similarity_of_the_loss(loss, args, similarity, bi_encoder, tmp_path):
    from sentence_transformers import SentenceTransformer

    recipe = recipe_for(bi_encoder, loss, loss_args=args, max_length=32)
    model = load_base(recipe, None, "cpu", 12)
    model.save_pretrained(str(tmp_path / "model"))
    saved = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    assert (saved.similarity_fn_name, saved.max_seq_length) == (similarity, 32)


def test_scratch_is_created_from_texts(answers_run):
    texts = answers_run[1].read("queries.parquet")["text"]
    model = load_base(recipe_for("scratch"), texts, "cpu", 12)
    assert model.num_labels == 1
