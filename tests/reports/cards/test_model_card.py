import ast
import contextlib
import functools
import io
import json
import re
import shlex
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import yaml
from huggingface_hub import metadata_load

from minerkit.pipeline import commands as pipeline
from minerkit.recipe.load import load_recipe, parse_override
from minerkit.recipe.recipe import Eval, Train
from minerkit.reports.cards.mining_facts import portable
from minerkit.reports.cards.model_card import hub_model_card
from minerkit.reports.cards.section import training_dataset_section
from minerkit.storage.run_folder import Run
from minerkit.training import trainer

pytestmark = pytest.mark.slow  # two models are trained

#: What a published card of this library holds, in its order.
TITLES = [
    "## Model Details",
    "### Model Description",
    "### Model Sources",
    "### Full Model Architecture",
    "## Usage",
    "### Direct Usage (Sentence Transformers)",
    "### Direct Usage (Transformers)",
    "### Downstream Usage (Sentence Transformers)",
    "### Out-of-Scope Use",
    "## Evaluation",
    "### Metrics",
    "## Bias, Risks and Limitations",
    "### Recommendations",
    "## Training Details",
    "### Training Dataset",
    "### Training Hyperparameters",
    "#### Non-Default Hyperparameters",
    "#### All Hyperparameters",
    "### Training Logs",
    "### Framework Versions",
    "## Citation",
    "### BibTeX",
    "#### Sentence Transformers",
    "## Glossary",
    "## Model Card Authors",
    "## Model Card Contact",
]
SETS = {
    "train.args.per_device_train_batch_size": 4,
    "train.args.max_steps": 6,
    "train.max_length": 48,
    "eval.rerank": 3,
    "eval.classification": True,
    "eval.steps": 2,
}


class Trained:
    """A run with a model, and its card."""

    def __init__(self, recipe, folder: Path) -> None:
        self.recipe, self.folder, self.model = recipe, folder, folder / "model"
        self.text = (self.model / "README.md").read_text()
        self.data = metadata_load(self.model / "README.md")
        self.account = json.loads((folder / "training.json").read_text())

    def section(self, title: str) -> str:
        return re.split(r"\n#{1,3} ", self.text.split(f"\n{title}\n")[1])[0]

    @functools.cached_property
    def log(self) -> list[list[str]]:
        lines = [line for line in self.section("### Training Logs").splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:])]


def train(recipe, mined: Path, folder: Path) -> Trained:
    if not folder.exists():
        shutil.copytree(mined, folder)
    pipeline.train(recipe, folder, "cpu")
    return Trained(recipe, folder)


@pytest.fixture(scope="module")
def gooaq_recipe():
    return load_recipe("gooaq", SETS, sample=True)


@pytest.fixture(scope="module")
def of_reranker(gooaq_recipe, sample_run, tmp_path_factory) -> Trained:
    return train(gooaq_recipe, sample_run, tmp_path_factory.mktemp("reranker") / "run")


@pytest.fixture(scope="module")
def of_bi_encoder(answers_run, tmp_path_factory) -> Trained:
    recipe, run = answers_run
    args = {"per_device_train_batch_size": 4, "max_steps": 2, "trackio_space_id": "/home/alice/notes"}
    update = {
        "license": "mit",
        "train": Train(loss="mnrl", max_length=48, args=args),
        "eval": Eval(retrieval=[1, 5], steps=1),
    }
    return train(recipe.model_copy(update=update), run.folder, tmp_path_factory.mktemp("bi-encoder") / "run")


@pytest.fixture(params=["of_reranker", "of_bi_encoder"])
def trained(request) -> Trained:
    return request.getfixturevalue(request.param)


def test_the_metadata_say_what_the_model_is(of_reranker, of_bi_encoder):
    data = of_reranker.data
    assert data["language"] == ["en"]
    assert data["license"] == "apache-2.0"
    assert {"cross-encoder", "generated_from_trainer", "loss:BinaryCrossEntropyLoss"} <= set(data["tags"])
    assert f"dataset_size:{of_reranker.account['rows']}" in data["tags"]
    assert data["pipeline_tag"] == "text-ranking"
    assert data["library_name"] == "sentence-transformers"
    assert {"ndcg@10", "average_precision"} <= set(data["metrics"])
    assert "base_model" not in data  # made from the run's text
    assert "datasets" not in data  # the sample is not on the Hub
    assert of_bi_encoder.data["license"] == "mit"
    assert "loss:MultipleNegativesRankingLoss" in of_bi_encoder.data["tags"]
    assert of_bi_encoder.data["pipeline_tag"] == "sentence-similarity"


def test_the_model_index_holds_the_metrics_of_the_trained_model(trained):
    after = trained.account["after"]
    found = [
        (f"{result['dataset']['type']}_{metric['type']}", metric["value"])
        for result in trained.data["model-index"][0]["results"]
        for metric in result["metrics"]
    ]
    assert found
    assert all(value == pytest.approx(after[name], abs=6e-5) for name, value in found)
    assert trained.data["model-index"][0]["name"] == trained.text.split("\n# ")[1].split("\n")[0]


def test_the_titles_stand_in_the_order_of_published_cards(trained):
    # Comments in the recipe's YAML would look like titles; there are none.
    found = re.findall(r"(?m)^#{2,4} .*$", trained.text)
    assert [title for title in found if title in TITLES] == TITLES
    assert f"\n#### {'gooaq sample' if trained.recipe.name == 'gooaq' else 'answers'}\n" in trained.text


def test_the_snippet_prints_the_scores_of_the_saved_model(trained):
    code = re.search(r"```python\n(.*?)```", trained.text, re.DOTALL)[1]
    assert '("model")' in code
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code.replace('("model")', f"({str(trained.model)!r})"), names := {})

    def numbers(text: str) -> np.ndarray:
        return np.array([float(number) for number in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", text)])

    comments = "\n".join(line for line in code.splitlines() if re.match(r"# (tensor|\[?\[-?\d| *-?\d)", line))
    printed = numbers(comments)
    assert len(printed) == 5
    assert numbers(said.getvalue()) == pytest.approx(printed, abs=6e-5)
    if "ranks" in names:
        scores = {rank["corpus_id"]: rank["score"] for rank in names["ranks"]}
        assert [scores[i] for i in range(5)] == pytest.approx(printed, abs=6e-5)


def test_the_example_is_a_query_that_is_held_out_with_a_positive_first(trained):
    run = Run(trained.folder)
    code = re.search(r"```python\n(.*?)```", trained.text, re.DOTALL)[1]
    lists = [n for n in ast.parse(code).body if isinstance(n, ast.Assign) and isinstance(n.value, ast.List)]
    names = {node.targets[0].id: ast.literal_eval(node.value) for node in lists}
    pairs = names.get("pairs") or [[names["queries"][0], text] for text in names["documents"]]
    texts = dict(run.read("corpus.parquet").select("text", "doc_id").iter_rows())
    queries = run.read("queries.parquet")
    asked = queries.filter(text=pairs[0][0]).row(0, named=True)
    assert asked["split"] == "dev"
    judged = set(run.read("qrels.parquet").select("query_id", "doc_id").iter_rows())
    places = [(asked["query_id"], texts[document]) in judged for _, document in pairs]
    assert places == [True, False, False, False, False]


def test_the_training_dataset_is_described_as_by_stats(trained):
    shown = trained.section("### Training Dataset")
    assert training_dataset_section(str(trained.folder)).partition("* Loss:")[0] in shown
    loss = json.loads(re.search(r"```json\n(.*?)```", shown, re.DOTALL)[1])
    assert loss == json.loads(json.dumps(trained.account["loss"]["parameters"], default=str))
    assert "modality" not in shown and "tokens" not in shown


def test_reranking_stands_beside_the_retrieved_order(of_reranker):
    after = of_reranker.account["after"]
    gained = after["gooaq-dev_map"] - after["gooaq-dev_base_map"]
    assert f"| {after['gooaq-dev_map']:.4f} ({gained:+.4f}) " in of_reranker.text
    assert of_reranker.text.count("[<code>CrossEncoderRerankingEvaluator</code>](https://sbert.net/") == 1
    assert "#### Cross Encoder Classification\n" in of_reranker.text
    assert "#### Cross Encoder Reranking\n" in of_reranker.text


def test_the_log_runs_from_the_untrained_to_the_trained_model(of_reranker):
    header, *rows = of_reranker.log
    names = ["gooaq-dev_ndcg@10", "gooaq-dev_average_precision"]
    assert header == ["Epoch", "Step", "Training Loss", *names]
    steps = [str(row["step"]) for row in of_reranker.account["history"]]
    assert [row[1].strip("*") for row in rows] == ["-1", *steps, "-1"]
    before = of_reranker.account["before"]
    change = before[names[0]] - before["gooaq-dev_base_ndcg@10"]
    assert rows[0][3] == f"{before[names[0]]:.4f} ({change:+.4f})"
    bold = [row[1] for row in rows if row[0].startswith("**")]
    assert bold == [f"**{of_reranker.account['best_step']}**"]


@pytest.mark.slow
def test_a_training_taken_up_again_logs_all_of_it(of_reranker, sample_run, tmp_path, monkeypatch):
    def killed(self, args, state, control, **more):
        if state.global_step == 4:
            raise KeyboardInterrupt

    recipe = of_reranker.recipe
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainer._ProgressCallback, "on_evaluate", killed)
        train(recipe, sample_run, tmp_path / "run")
    again = train(recipe, sample_run, tmp_path / "run")
    assert again.account["resumed_from"] == 2
    assert again.log == of_reranker.log
    assert "Sequential" not in again.text
    assert "Measured from step 2 on" in again.section("### Training Time")
    assert again.data["model-index"] == of_reranker.data["model-index"]


def test_no_card_tells_of_the_machine(trained):
    said = trained.text
    for secret in (str(trained.folder.parent), str(Path.home()), socket.gethostname(), "/tmp/", "file://"):
        assert secret not in said
    assert not re.findall(r"(?<![\w/.:<])/[a-z]+/[\w/-]+", re.sub(r"https?://\S+", "", said))


def test_the_command_makes_the_same_recipe_again(of_reranker):
    line = of_reranker.section("## Reproduction").split("```bash\n")[1].split("\n")[0]
    words = shlex.split(line)
    assert words[:5] == ["minerkit", "train", "--recipe", "gooaq", "--sample"]
    given = dict(parse_override(word) for flag, word in zip(words[5::2], words[6::2], strict=True) if flag)
    assert load_recipe("gooaq", given, sample=True) == of_reranker.recipe


def test_a_recipe_of_ones_own_stands_in_the_card(of_bi_encoder):
    said = of_bi_encoder.section("## Reproduction")
    assert "minerkit train --recipe recipe.yaml" in said
    shown = yaml.safe_load(said.split("```yaml\n")[1].split("```")[0])
    assert shown == portable(of_bi_encoder.recipe.model_dump())
    assert shown["source"]["path"] == "pairs.parquet"


def test_the_reproduction_says_where_negatives_come_from(of_reranker):
    counts = Run(of_reranker.folder).read_json("stats.json")["splits"]["train"]
    said = of_reranker.section("## Reproduction")
    assert "encoder `lsa`" in said and "(cosine similarity)" in said
    assert "A negative scores no higher than the query's lowest-scoring positive." in said
    assert f"{counts['positives']:,} positives and {counts['negatives']:,} negatives" in said
    assert "12 (dev split), 12 (negatives), 12 (training)" in said


def test_a_pushed_card_loads_the_model_from_the_hub(of_reranker, of_bi_encoder):
    pushed = hub_model_card(of_reranker.text, "user/name")
    assert '# Download from the 🤗 Hub\nmodel = CrossEncoder("user/name")\n' in pushed
    assert 'SentenceTransformer("user/name")' in hub_model_card(of_bi_encoder.text, "user/name")


def test_energy_stands_in_the_final_card(of_reranker, sample_run, tmp_path):
    pytest.importorskip("codecarbon")
    recipe = load_recipe("gooaq", {**SETS, "train.args.report_to": "codecarbon"}, sample=True)
    found = train(recipe, sample_run, tmp_path / "run")
    measured = found.data["co2_eq_emissions"]
    assert measured["source"] == "codecarbon"
    assert measured["energy_consumed"] > 0 and measured["hours_used"] >= 0
    assert "**Hours Used**" in found.section("### Environmental Impact")
    assert "**CPU Model**" in found.section("### Training Hardware")
    assert "co2_eq_emissions" not in of_reranker.data
