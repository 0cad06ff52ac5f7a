"""Evaluators of sentence-transformers on real runs, their figures against the formulas written out."""

import json
from math import log2
from pathlib import Path
from zlib import crc32

import numpy as np
import polars as pl
import pytest

from minerkit.evaluation.comparison import compare
from minerkit.evaluation.dev_split import Dev, read_dev_split
from minerkit.evaluation.recipe_evaluators import dev_evaluator
from minerkit.recipe.recipe import Eval, Recipe, Train
from minerkit.runtime.progress import Reporter


def scored_by(recipe: Recipe, **keys) -> Recipe:
    return recipe.model_copy(update={"eval": Eval(**keys)})


def of_bi_encoder(recipe: Recipe, **keys) -> Recipe:
    return scored_by(recipe, **keys).model_copy(update={"train": Train(loss="mnrl")})


class Judge:
    """Stands in for a trained reranker: scores are known, so figures can be foretold."""

    num_labels = 1

    def __init__(self, score):
        self.score = score
        self.model_card_data = self

    def predict(self, pairs, **options):
        return np.array([self.score(query, document) for query, document in pairs], np.float32)

    def set_evaluation_metrics(self, evaluator, metrics, epoch=0, step=0):
        self.card = metrics


def measures(order: list[str], positives: set[str], possible: int) -> tuple[float, float, float]:
    """Average precision, reciprocal rank at 10 and nDCG at 10 of one ranking."""
    ranks = [rank for rank, doc in enumerate(order, 1) if doc in positives]
    if not ranks:
        return 0.0, 0.0, 0.0
    precision = sum((i + 1) / rank for i, rank in enumerate(ranks)) / possible
    gain = sum(1 / log2(rank + 1) for rank in ranks if rank <= 10)
    ideal = sum(1 / log2(rank + 1) for rank in range(1, min(possible, 10) + 1))
    return precision, (1 / ranks[0] if ranks[0] <= 10 else 0.0), gain / ideal


def expected(dev: Dev, orders: dict[str, list[str]]) -> list[float]:
    """Mean of the measures over queries; positives that were not retrieved are missed."""
    rows = [
        measures(order, dev.positives[query], len(dev.positives[query])) for query, order in orders.items()
    ]
    return [float(value) for value in np.mean(rows, axis=0)]


def scrambled(query: str, document: str) -> float:
    return crc32(f"{query} {document}".encode()) / 2**32


@pytest.mark.parametrize("depth", [5, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("run", ["answers_run", "captions_run"])
def test_the_order_after_and_the_order_before_are_measured_alike(run, depth, reranker, request):
    from sentence_transformers import CrossEncoder

    recipe, made = request.getfixturevalue(run)
    evaluator, primary = dev_evaluator(scored_by(recipe, rerank=depth), made)
    dev = read_dev_split(recipe, made)
    model = CrossEncoder(reranker, device="cpu") if run == "answers_run" else Judge(scrambled)
    found = evaluator(model)
    before = {query: docs[:depth] for query, docs in dev.retrieved.items()}
    after = {}
    for query, docs in before.items():
        scores = model.predict([(dev.queries[query], dev.corpus[doc]) for doc in docs])
        assert len(set(scores)) == len(scores)
        after[query] = [docs[i] for i in np.argsort(-scores)]
    name = f"{recipe.name}-dev"
    assert primary == f"{name}_ndcg@10" == evaluator.primary_metric
    keys = ("map", "mrr@10", "ndcg@10")
    assert [found[f"{name}_{key}"] for key in keys] == pytest.approx(expected(dev, after))
    assert [found[f"{name}_base_{key}"] for key in keys] == pytest.approx(expected(dev, before))
    assert found[primary] != pytest.approx(found[f"{name}_base_ndcg@10"])


def test_positives_are_not_forced_in(answers_run):
    recipe, run = answers_run
    dev = read_dev_split(recipe, run)
    evaluator, primary = dev_evaluator(recipe, run)
    answers = {(dev.queries[query], dev.corpus[doc]) for query, docs in dev.positives.items() for doc in docs}
    perfect = evaluator(Judge(lambda query, document: (query, document) in answers))[primary]
    reached = [bool(dev.positives[query] & set(docs[:10])) for query, docs in dev.retrieved.items()]
    assert perfect == pytest.approx(np.mean(reached))
    assert 0 < perfect < 1
    assert evaluator.get_config_dict()["always_rerank_positives"] is False


def test_a_reranker_that_keeps_the_order_gains_nothing_even_where_positives_are_missing(captions_run):
    recipe, run = captions_run
    recipe = scored_by(recipe, rerank=5)
    dev = read_dev_split(recipe, run)
    assert any(
        0 < len(dev.positives[q] & set(d[:5])) < len(dev.positives[q]) for q, d in dev.retrieved.items()
    )
    places = {
        (dev.queries[query], dev.corpus[doc]): place
        for query, docs in dev.retrieved.items()
        for place, doc in enumerate(docs)
    }
    judge = Judge(lambda query, document: -places[query, document])
    evaluator, primary = dev_evaluator(recipe, run)
    found = evaluator(judge)
    assert all(value.endswith("(+0.0000)") for value in judge.card.values())
    ranked = compare(recipe, run)["rows"][0]["metrics"]["ndcg@10"]
    assert found[primary] < ranked  # five documents hold less than ten


def test_the_card_names_the_evaluators_as_usual_and_says_what_they_do_otherwise(captions_run):
    from sentence_transformers.util import fullname

    recipe, run = captions_run
    reranking, _ = dev_evaluator(scored_by(recipe, rerank=5), run)
    assert (
        fullname(reranking) == "sentence_transformers.cross_encoder.evaluation.CrossEncoderRerankingEvaluator"
    )
    assert reranking.description == "Cross Encoder Reranking"
    assert reranking.get_config_dict()["unretrieved_positives"] == "missed"
    retrieval, _ = dev_evaluator(of_bi_encoder(recipe, retrieval=[5]), run)
    assert retrieval.description == "Information Retrieval"
    assert retrieval.get_config_dict() == {"query_itself": "left out"}


def test_the_retrieved_documents_are_the_best_of_all_and_never_the_query_itself(captions_run):
    recipe, run = captions_run
    dev = read_dev_split(recipe, run)
    assert set(dev.retrieved) == set(dev.queries)
    texts = set(dev.corpus.values())
    assert sum(text in texts for text in dev.queries.values()) == len(dev.queries)
    sides = dict(run.read(".stages/documents.parquet").select("doc_id", "split").iter_rows())
    assert {sides[doc] for docs in dev.retrieved.values() for doc in docs} == {"train", "dev"}
    for query, docs in dev.retrieved.items():
        assert dev.queries[query] not in {dev.corpus[doc] for doc in docs}
        assert dev.queries[query] in {dev.corpus[doc] for doc in dev.itself[query]}
        assert len(docs) == 100


@pytest.mark.slow
def test_a_bi_encoder_retrieves_from_all_documents_but_not_the_query_itself(captions_run, minilm):
    from sentence_transformers import SentenceTransformer

    recipe, run = captions_run
    recipe = of_bi_encoder(recipe, retrieval=[2, 5])
    dev = read_dev_split(recipe, run)
    evaluator, primary = dev_evaluator(recipe, run)
    model = SentenceTransformer(minilm, device="cpu")
    found = evaluator(model)
    assert primary == "product-captions-dev_cosine_ndcg@10"
    documents = list(dev.corpus)
    scores = (
        model.encode_query(list(dev.queries.values())) @ model.encode_document(list(dev.corpus.values())).T
    )
    firsts, shares = [], []
    for query, row in zip(dev.queries, scores, strict=True):
        order = [documents[i] for i in np.argsort(-row) if documents[i] not in dev.itself.get(query, ())]
        firsts.append(next(rank for rank, doc in enumerate(order, 1) if doc in dev.positives[query]))
        shares.append(len(dev.positives[query] & set(order[:5])) / len(dev.positives[query]))
    assert found["product-captions-dev_cosine_accuracy@2"] == pytest.approx(np.mean(np.array(firsts) <= 2))
    assert found["product-captions-dev_cosine_recall@5"] == pytest.approx(np.mean(shares))
    assert found["product-captions-dev_cosine_mrr@10"] == pytest.approx(
        np.mean([1 / rank if rank <= 10 else 0 for rank in firsts])
    )
    assert 0 < found[primary] < 1


@pytest.mark.slow
def test_the_similarity_is_that_of_mining_unless_it_is_given(answers_run, minilm):
    from sentence_transformers import SentenceTransformer

    recipe, run = answers_run
    recipe = of_bi_encoder(recipe, retrieval=[10])
    dotted = recipe.model_copy(update={"encoder": recipe.encoder.model_copy(update={"normalize": False})})
    assert dev_evaluator(dotted, run)[1] == "answers-dev_dot_ndcg@10"
    evaluator, primary = dev_evaluator(recipe, run, "dot")
    found = evaluator(SentenceTransformer(minilm, device="cpu"))
    assert primary == "answers-dev_dot_ndcg@10"
    assert found[primary] > 0.5


@pytest.mark.parametrize("run", ["captions_run", "answers_run"])
def test_classification_tells_the_positives_of_the_dev_rows_from_their_negatives(run, request):
    recipe, made = request.getfixturevalue(run)
    evaluator, primary = dev_evaluator(scored_by(recipe, classification=True), made)
    assert primary == f"{recipe.name}-dev_average_precision"
    rows = made.read("dev.parquet")
    pairs = [tuple(pair) for pair in evaluator.sentence_pairs]
    if recipe.format.type == "labeled-pair":
        assert [(*pair, label) for pair, label in zip(pairs, evaluator.labels, strict=True)] == rows.rows()
    else:
        labelled = {*rows.select("query", "positive").rows()}, {*rows.select("query", "negative").rows()}
        assert [(pair in labelled[0], pair in labelled[1]) for pair in pairs] == [
            (label == 1, label == 0) for label in evaluator.labels
        ]
    known = dict(zip(pairs, evaluator.labels, strict=True))
    found = evaluator(Judge(lambda query, document: 0.25 + 0.5 * known[query, document]))
    perfect = ("accuracy", "f1", "precision", "recall", "average_precision")
    assert [found[f"{recipe.name}-dev_{key}"] for key in perfect] == [1.0] * 5
    assert found[f"{recipe.name}-dev_f1_threshold"] == 0.5


def test_classification_by_hand(captions_run):
    recipe, run = captions_run
    evaluator, _ = dev_evaluator(scored_by(recipe, classification=True), run)
    evaluator.sentence_pairs = [["q", "a"], ["q", "b"], ["q", "c"], ["q", "d"]]
    evaluator.labels = np.array([1, 0, 1, 0])
    scores = {"a": 0.9, "b": 0.7, "c": 0.6, "d": 0.1}
    found = evaluator(Judge(lambda query, document: scores[document]))
    found = {key.removeprefix("product-captions-dev_"): round(value, 4) for key, value in found.items()}
    # Taking a, b and c finds both positives among three: precision 2/3, F1 0.8; the first is found at rank 1,
    # the second at rank 3, so the average precision is (1 + 2/3) / 2.
    assert found == {
        "accuracy": 0.75,
        "accuracy_threshold": 0.8,
        "f1": 0.8,
        "f1_threshold": 0.35,
        "precision": 0.6667,
        "recall": 1.0,
        "average_precision": 0.8333,
    }


def test_the_bi_encoder_has_the_same_evaluators(answers_run, minilm):
    from sentence_transformers import SentenceTransformer

    recipe, run = answers_run
    evaluator, primary = dev_evaluator(of_bi_encoder(recipe, classification=True), run)
    found = evaluator(SentenceTransformer(minilm, device="cpu"))
    assert primary == "answers-dev_cosine_ap"
    assert found[primary] > 0.8


def test_of_several_evaluators_the_first_counts(answers_run, reranker):
    from sentence_transformers import CrossEncoder

    recipe, run = answers_run
    evaluator, primary = dev_evaluator(scored_by(recipe, rerank=10, classification=True), run)
    found = evaluator(CrossEncoder(reranker, device="cpu"))
    assert primary == "answers-dev_ndcg@10"
    assert found["sequential_score"] == found[primary] != found["answers-dev_average_precision"]


@pytest.mark.parametrize(("loss", "primary"), [("bce", "ndcg@10"), ("mnrl", "cosine_ndcg@10")])
def test_a_recipe_that_names_no_evaluator_for_its_model_gets_one(answers_run, loss, primary):
    recipe, run = answers_run
    unfit = {"bce": Eval(retrieval=[3]), "mnrl": Eval(rerank=7)}[loss]
    evaluator, key = dev_evaluator(recipe.model_copy(update={"eval": unfit, "train": Train(loss=loss)}), run)
    assert key == f"answers-dev_{primary}"
    if loss == "bce":
        assert {len(sample["documents"]) for sample in evaluator.samples} == {30}


def test_no_dev_queries_no_evaluator(answers_run, tmp_path):
    from minerkit.pipeline import commands as pipeline

    recipe, _ = answers_run
    recipe = recipe.model_copy(update={"split": recipe.split.model_copy(update={"dev_queries": 0})})
    assert dev_evaluator(recipe, pipeline.mine(recipe, tmp_path / "run", "cpu")) is None


def nano_beir(folder: Path) -> None:
    """Write a data set in the layout of NanoBEIR on the Hub: one configuration a kind of table."""
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

    nano_beir(tmp_path / "nano")
    recipe, run = answers_run
    keys = {"nano_beir": ["nq"], "nano_beir_data": str(tmp_path / "nano")}
    evaluator, primary = dev_evaluator(scored_by(recipe, rerank=10, **keys), run)
    found = evaluator(CrossEncoder(reranker, device="cpu"))
    assert primary == "answers-dev_ndcg@10"
    assert found["NanoNQ_R100_base_ndcg@10"] == pytest.approx(1 / log2(3))
    assert "NanoBEIR_R100_mean_ndcg@10" in found
    evaluator, primary = dev_evaluator(of_bi_encoder(recipe, **keys), run)
    assert evaluator(SentenceTransformer(minilm, device="cpu"))[primary] == 1.0
    assert primary == "NanoBEIR_mean_cosine_ndcg@10"


@pytest.mark.parametrize("data", ["sentence-transformers/NanoBEIR-en", "no/such/folder"])
def test_nano_beir_out_of_reach_is_left_out_with_a_line(answers_run, capsys, data):
    recipe, run = answers_run
    recipe = scored_by(recipe, nano_beir=["nq"], nano_beir_data=data)
    evaluator, primary = dev_evaluator(recipe, run, reporter=Reporter())
    assert primary == "answers-dev_ndcg@10"
    assert type(evaluator).__name__ == "CrossEncoderRerankingEvaluator"
    said = capsys.readouterr().err
    assert said.startswith(f"NanoBEIR: left out, {data} cannot be read") and said.count("\n") == 1


def test_the_evaluator_serves_the_trainer(answers_run, reranker, tmp_path):
    """The primary metric is found under the trainer's prefix, and the best checkpoint chosen by it."""
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
