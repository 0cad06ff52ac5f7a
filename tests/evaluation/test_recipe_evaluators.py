"""Evaluators on real runs, with their metrics checked against the formulas."""

import json
from math import log2
from pathlib import Path
from zlib import crc32

import numpy as np
import polars as pl
import pytest

from minerkit.evaluation.comparison import compare_systems
from minerkit.evaluation.dev_split import DevSplit, read_dev_split
from minerkit.evaluation.recipe_evaluators import dev_evaluator
from minerkit.recipe.recipe import Eval, Recipe, Train
from minerkit.runtime.progress import Reporter


def with_eval(recipe: Recipe, **keys) -> Recipe:
    return recipe.model_copy(update={"eval": Eval(**keys)})


def for_bi_encoder(recipe: Recipe, **keys) -> Recipe:
    return with_eval(recipe, **keys).model_copy(update={"train": Train(loss="mnrl")})


class FakeReranker:
    """Scores pairs by a function, so that tests know the metrics."""

    num_labels = 1

    def __init__(self, score):
        self.score = score
        self.model_card_data = self

    def predict(self, pairs, **options):
        return np.array([self.score(query, document) for query, document in pairs], np.float32)

    def set_evaluation_metrics(self, evaluator, metrics, epoch=0, step=0):
        self.card_metrics = metrics


def query_metrics(ranking: list[str], positives: set[str]) -> tuple[float, float, float]:
    """Average precision, reciprocal rank at 10 and nDCG at 10 of one ranking."""
    ranks = [rank for rank, doc in enumerate(ranking, 1) if doc in positives]
    if not ranks:
        return 0.0, 0.0, 0.0
    precision = sum((i + 1) / rank for i, rank in enumerate(ranks)) / len(positives)
    dcg = sum(1 / log2(rank + 1) for rank in ranks if rank <= 10)
    ideal_dcg = sum(1 / log2(rank + 1) for rank in range(1, min(len(positives), 10) + 1))
    return precision, (1 / ranks[0] if ranks[0] <= 10 else 0.0), dcg / ideal_dcg


def expected_metrics(dev: DevSplit, rankings: dict[str, list[str]]) -> list[float]:
    """Means over queries; positives that were not retrieved count as missed."""
    rows = [query_metrics(ranking, dev.positives[query]) for query, ranking in rankings.items()]
    return [float(value) for value in np.mean(rows, axis=0)]


def pseudo_random(query: str, document: str) -> float:
    return crc32(f"{query} {document}".encode()) / 2**32


@pytest.mark.parametrize("depth", [5, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("run", ["answers_run", "captions_run"])
def test_missed_positives_count_before_and_after_reranking(run, depth, reranker, request):
    from sentence_transformers import CrossEncoder

    recipe, mined = request.getfixturevalue(run)
    evaluator, primary = dev_evaluator(with_eval(recipe, rerank=depth), mined)
    dev = read_dev_split(recipe, mined)
    model = CrossEncoder(reranker, device="cpu") if run == "answers_run" else FakeReranker(pseudo_random)
    metrics = evaluator(model)
    before = {query: docs[:depth] for query, docs in dev.retrieved.items()}
    after = {}
    for query, docs in before.items():
        scores = model.predict([(dev.queries[query], dev.corpus[doc]) for doc in docs])
        assert len(set(scores)) == len(scores)
        after[query] = [docs[i] for i in np.argsort(-scores)]
    name = f"{recipe.name}-dev"
    assert primary == f"{name}_ndcg@10" == evaluator.primary_metric
    keys = ("map", "mrr@10", "ndcg@10")
    assert [metrics[f"{name}_{key}"] for key in keys] == pytest.approx(expected_metrics(dev, after))
    assert [metrics[f"{name}_base_{key}"] for key in keys] == pytest.approx(expected_metrics(dev, before))
    assert metrics[primary] != pytest.approx(metrics[f"{name}_base_ndcg@10"])


def test_reranking_does_not_add_positives(answers_run):
    recipe, run = answers_run
    dev = read_dev_split(recipe, run)
    evaluator, primary = dev_evaluator(recipe, run)
    answers = {(dev.queries[query], dev.corpus[doc]) for query, docs in dev.positives.items() for doc in docs}
    perfect = evaluator(FakeReranker(lambda query, document: (query, document) in answers))[primary]
    retrieved = [bool(dev.positives[query] & set(docs[:10])) for query, docs in dev.retrieved.items()]
    assert perfect == pytest.approx(np.mean(retrieved))
    assert 0 < perfect < 1
    assert evaluator.get_config_dict()["always_rerank_positives"] is False


def test_a_reranker_that_keeps_the_order_gains_nothing_with_missed_positives(captions_run):
    recipe, run = captions_run
    recipe = with_eval(recipe, rerank=5)
    dev = read_dev_split(recipe, run)
    assert any(
        0 < len(dev.positives[q] & set(d[:5])) < len(dev.positives[q]) for q, d in dev.retrieved.items()
    )
    ranks = {
        (dev.queries[query], dev.corpus[doc]): rank
        for query, docs in dev.retrieved.items()
        for rank, doc in enumerate(docs)
    }
    model = FakeReranker(lambda query, document: -ranks[query, document])
    evaluator, primary = dev_evaluator(recipe, run)
    metrics = evaluator(model)
    assert all(value.endswith("(+0.0000)") for value in model.card_metrics.values())
    encoder = compare_systems(recipe, run)["rows"][0]["metrics"]["ndcg@10"]
    assert metrics[primary] < encoder  # five documents hold fewer positives than ten


def test_the_card_shows_the_usual_names_of_evaluators_and_their_differences(captions_run):
    from sentence_transformers.util import fullname

    recipe, run = captions_run
    reranking, _ = dev_evaluator(with_eval(recipe, rerank=5), run)
    assert (
        fullname(reranking) == "sentence_transformers.cross_encoder.evaluation.CrossEncoderRerankingEvaluator"
    )
    assert reranking.description == "Cross Encoder Reranking"
    assert reranking.get_config_dict()["unretrieved_positives"] == "missed"
    retrieval, _ = dev_evaluator(for_bi_encoder(recipe, retrieval=[5]), run)
    assert retrieval.description == "Information Retrieval"
    assert retrieval.get_config_dict() == {"query_itself": "left out"}


def test_retrieved_documents_come_from_both_splits_and_exclude_the_query(captions_run):
    recipe, run = captions_run
    dev = read_dev_split(recipe, run)
    assert set(dev.retrieved) == set(dev.queries)
    texts = set(dev.corpus.values())
    assert sum(text in texts for text in dev.queries.values()) == len(dev.queries)
    splits = dict(run.read(".stages/documents.parquet").select("doc_id", "split").iter_rows())
    assert {splits[doc] for docs in dev.retrieved.values() for doc in docs} == {"train", "dev"}
    for query, docs in dev.retrieved.items():
        assert dev.queries[query] not in {dev.corpus[doc] for doc in docs}
        assert dev.queries[query] in {dev.corpus[doc] for doc in dev.excluded[query]}
        assert len(docs) == 100


@pytest.mark.slow
def test_a_bi_encoder_retrieves_from_all_documents_except_the_query(captions_run, minilm):
    from sentence_transformers import SentenceTransformer

    recipe, run = captions_run
    recipe = for_bi_encoder(recipe, retrieval=[2, 5])
    dev = read_dev_split(recipe, run)
    evaluator, primary = dev_evaluator(recipe, run)
    model = SentenceTransformer(minilm, device="cpu")
    metrics = evaluator(model)
    assert primary == "product-captions-dev_cosine_ndcg@10"
    documents = list(dev.corpus)
    scores = (
        model.encode_query(list(dev.queries.values())) @ model.encode_document(list(dev.corpus.values())).T
    )
    first_ranks, recalls = [], []
    for query, row in zip(dev.queries, scores, strict=True):
        order = [documents[i] for i in np.argsort(-row) if documents[i] not in dev.excluded.get(query, ())]
        first_ranks.append(next(rank for rank, doc in enumerate(order, 1) if doc in dev.positives[query]))
        recalls.append(len(dev.positives[query] & set(order[:5])) / len(dev.positives[query]))
    assert metrics["product-captions-dev_cosine_accuracy@2"] == pytest.approx(
        np.mean(np.array(first_ranks) <= 2)
    )
    assert metrics["product-captions-dev_cosine_recall@5"] == pytest.approx(np.mean(recalls))
    assert metrics["product-captions-dev_cosine_mrr@10"] == pytest.approx(
        np.mean([1 / rank if rank <= 10 else 0 for rank in first_ranks])
    )
    assert 0 < metrics[primary] < 1


@pytest.mark.slow
def test_the_similarity_is_that_of_mining_unless_it_is_set(answers_run, minilm):
    from sentence_transformers import SentenceTransformer

    recipe, run = answers_run
    recipe = for_bi_encoder(recipe, retrieval=[10])
    unnormalised = recipe.model_copy(
        update={"encoder": recipe.encoder.model_copy(update={"normalize": False})}
    )
    assert dev_evaluator(unnormalised, run)[1] == "answers-dev_dot_ndcg@10"
    evaluator, primary = dev_evaluator(recipe, run, "dot")
    metrics = evaluator(SentenceTransformer(minilm, device="cpu"))
    assert primary == "answers-dev_dot_ndcg@10"
    assert metrics[primary] > 0.5


@pytest.mark.parametrize("run", ["captions_run", "answers_run"])
def test_classification_uses_the_pairs_and_labels_of_the_dev_rows(run, request):
    recipe, mined = request.getfixturevalue(run)
    evaluator, primary = dev_evaluator(with_eval(recipe, classification=True), mined)
    assert primary == f"{recipe.name}-dev_average_precision"
    rows = mined.read("dev.parquet")
    pairs = [tuple(pair) for pair in evaluator.sentence_pairs]
    if recipe.format.type == "labeled-pair":
        assert [(*pair, label) for pair, label in zip(pairs, evaluator.labels, strict=True)] == rows.rows()
    else:
        positives = set(rows.select("query", "positive").rows())
        negatives = set(rows.select("query", "negative").rows())
        assert [(pair in positives, pair in negatives) for pair in pairs] == [
            (label == 1, label == 0) for label in evaluator.labels
        ]
    labels = dict(zip(pairs, evaluator.labels, strict=True))
    metrics = evaluator(FakeReranker(lambda query, document: 0.25 + 0.5 * labels[query, document]))
    names = ("accuracy", "f1", "precision", "recall", "average_precision")
    assert [metrics[f"{recipe.name}-dev_{key}"] for key in names] == [1.0] * 5
    assert metrics[f"{recipe.name}-dev_f1_threshold"] == 0.5


def test_classification_metrics_of_four_pairs(captions_run):
    recipe, run = captions_run
    evaluator, _ = dev_evaluator(with_eval(recipe, classification=True), run)
    evaluator.sentence_pairs = [["q", "a"], ["q", "b"], ["q", "c"], ["q", "d"]]
    evaluator.labels = np.array([1, 0, 1, 0])
    scores = {"a": 0.9, "b": 0.7, "c": 0.6, "d": 0.1}
    metrics = evaluator(FakeReranker(lambda query, document: scores[document]))
    metrics = {key.removeprefix("product-captions-dev_"): round(value, 4) for key, value in metrics.items()}
    # The F1 threshold accepts a, b and c, with both positives: precision 2/3, recall 1, F1 0.8. The positives
    # have ranks 1 and 3, so average precision is (1 + 2/3) / 2.
    assert metrics == {
        "accuracy": 0.75,
        "accuracy_threshold": 0.8,
        "f1": 0.8,
        "f1_threshold": 0.35,
        "precision": 0.6667,
        "recall": 1.0,
        "average_precision": 0.8333,
    }


def test_a_bi_encoder_can_be_evaluated_by_classification(answers_run, minilm):
    from sentence_transformers import SentenceTransformer

    recipe, run = answers_run
    evaluator, primary = dev_evaluator(for_bi_encoder(recipe, classification=True), run)
    metrics = evaluator(SentenceTransformer(minilm, device="cpu"))
    assert primary == "answers-dev_cosine_ap"
    assert metrics[primary] > 0.8


def test_the_first_of_several_evaluators_has_the_primary_metric(answers_run, reranker):
    from sentence_transformers import CrossEncoder

    recipe, run = answers_run
    evaluator, primary = dev_evaluator(with_eval(recipe, rerank=10, classification=True), run)
    metrics = evaluator(CrossEncoder(reranker, device="cpu"))
    assert primary == "answers-dev_ndcg@10"
    assert metrics["sequential_score"] == metrics[primary] != metrics["answers-dev_average_precision"]


@pytest.mark.parametrize(("loss", "primary"), [("bce", "ndcg@10"), ("mnrl", "cosine_ndcg@10")])
def test_a_model_without_a_matching_evaluator_in_the_recipe_gets_a_default(answers_run, loss, primary):
    recipe, run = answers_run
    mismatched = {"bce": Eval(retrieval=[3]), "mnrl": Eval(rerank=7)}[loss]
    evaluator, key = dev_evaluator(
        recipe.model_copy(update={"eval": mismatched, "train": Train(loss=loss)}), run
    )
    assert key == f"answers-dev_{primary}"
    if loss == "bce":
        assert {len(sample["documents"]) for sample in evaluator.samples} == {30}


def test_there_is_no_evaluator_without_dev_queries(answers_run, tmp_path):
    from minerkit.pipeline import commands as pipeline

    recipe, _ = answers_run
    recipe = recipe.model_copy(update={"split": recipe.split.model_copy(update={"dev_queries": 0})})
    assert dev_evaluator(recipe, pipeline.mine(recipe, tmp_path / "run", "cpu")) is None


def write_nano_beir(folder: Path) -> None:
    """Write a data set in the layout of NanoBEIR on the Hub, with one config per table."""
    tables = {
        "corpus": {"_id": ["d1", "d2", "d3"], "text": ["a cat", "a dog", "rain in spring"]},
        "queries": {"_id": ["q1"], "text": ["cats"]},
        "qrels": {"query-id": ["q1"], "corpus-id": ["d1"]},
        "bm25": {"query-id": ["q1"], "corpus-ids": [["d2", "d1", "d3"]]},
    }
    configs = []
    for name, table in tables.items():
        (folder / name).mkdir(parents=True)
        pl.DataFrame(table).write_parquet(folder / name / "NanoNQ.parquet")
        files = [{"split": "NanoNQ", "path": f"{name}/NanoNQ.parquet"}]
        configs.append({"config_name": name, "data_files": files})
    (folder / "README.md").write_text(f"---\n{json.dumps({'configs': configs})}\n---\n")


def test_nano_beir_from_a_folder(answers_run, reranker, minilm, tmp_path):
    from sentence_transformers import CrossEncoder, SentenceTransformer

    write_nano_beir(tmp_path / "nano")
    recipe, run = answers_run
    keys = {"nano_beir": ["nq"], "nano_beir_data": str(tmp_path / "nano")}
    evaluator, primary = dev_evaluator(with_eval(recipe, rerank=10, **keys), run)
    metrics = evaluator(CrossEncoder(reranker, device="cpu"))
    assert primary == "answers-dev_ndcg@10"
    assert metrics["NanoNQ_R100_base_ndcg@10"] == pytest.approx(1 / log2(3))
    assert "NanoBEIR_R100_mean_ndcg@10" in metrics
    evaluator, primary = dev_evaluator(for_bi_encoder(recipe, **keys), run)
    assert evaluator(SentenceTransformer(minilm, device="cpu"))[primary] == 1.0
    assert primary == "NanoBEIR_mean_cosine_ndcg@10"


@pytest.mark.parametrize("data", ["sentence-transformers/NanoBEIR-en", "no/such/folder"])
def test_unreadable_nano_beir_is_left_out_with_a_note(answers_run, capsys, data):
    recipe, run = answers_run
    recipe = with_eval(recipe, nano_beir=["nq"], nano_beir_data=data)
    evaluator, primary = dev_evaluator(recipe, run, reporter=Reporter())
    assert primary == "answers-dev_ndcg@10"
    assert type(evaluator).__name__ == "CrossEncoderRerankingEvaluator"
    note = capsys.readouterr().err
    assert note.startswith(f"NanoBEIR: left out, {data} cannot be read") and note.count("\n") == 1


def test_the_trainer_selects_the_best_checkpoint_by_the_primary_metric(answers_run, reranker, tmp_path):
    """The trainer adds its prefix to the name of the metric."""
    import datasets
    from sentence_transformers import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments

    recipe, run = answers_run
    evaluator, primary = dev_evaluator(recipe, run)
    rows = run.read("train.parquet").head(32)
    data = datasets.Dataset.from_dict(
        {"query": rows["query"].to_list(), "document": rows["positive"].to_list(), "label": [1.0, 0.0] * 16}
    )
    arguments = CrossEncoderTrainingArguments(
        output_dir=str(tmp_path),
        max_steps=2,
        eval_strategy="steps",
        eval_steps=1,
        save_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model=primary,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
    )
    model = CrossEncoder(reranker, device="cpu")
    trainer = CrossEncoderTrainer(model=model, args=arguments, train_dataset=data, evaluator=evaluator)
    trainer.train()
    assert trainer.state.best_metric == max(
        log[f"eval_{primary}"] for log in trainer.state.log_history if f"eval_{primary}" in log
    )
    card = trainer.model.model_card_data.training_logs
    assert any(primary in line for line in card)
