import json

import numpy as np
import pytest

from minerkit.errors import EncoderError, RecipeError, RunError
from minerkit.evaluation.comparison import compare_systems
from minerkit.evaluation.dev_split import read_dev_split
from minerkit.evaluation.recipe_evaluators import dev_evaluator
from minerkit.pipeline import commands as pipeline
from minerkit.pipeline import finished
from minerkit.recipe.recipe import Eval, Train
from minerkit.search.bm25 import bm25_search
from minerkit.search.request import Pairs
from minerkit.storage.run_folder import Run


@pytest.fixture(scope="module")
def compared(answers_run, reranker, minilm):
    recipe, run = answers_run
    return compare_systems(recipe, run, [reranker, minilm], device="cpu")


def expected_metrics(rankings: list[list[str]], positives: list[set[str]]) -> dict[str, float]:
    """Metrics of rankings by their formulas; every query has one positive."""
    ranks = [
        next((rank for rank, doc in enumerate(ranking, 1) if doc in relevant), np.inf)
        for ranking, relevant in zip(rankings, positives, strict=True)
    ]
    ranks = np.array(ranks)
    return {
        "mrr@10": float(np.where(ranks <= 10, 1 / ranks, 0).mean()),
        "ndcg@10": float(np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0).mean()),
        "map@100": float(np.where(ranks <= 100, 1 / ranks, 0).mean()),
        **{f"accuracy@{k}": float((ranks <= k).mean()) for k in (1, 10, 100)},
        **{f"recall@{k}": float((ranks <= k).mean()) for k in (1, 10, 100)},
        "precision@10": float((ranks <= 10).mean() / 10),
    }


def agrees(row: dict, rankings: dict[str, list[str]], dev) -> bool:
    expected = expected_metrics(
        [rankings[query] for query in dev.queries], [dev.positives[query] for query in dev.queries]
    )
    return {key: row["metrics"][key] for key in expected} == pytest.approx(expected)


@pytest.fixture(scope="module")
def dev(answers_run):
    split = read_dev_split(*answers_run)
    assert {len(positives) for positives in split.positives.values()} == {1}
    return split


def test_the_encoder_has_the_metrics_that_mining_stored(compared, answers_run, dev):
    row = compared["rows"][0]
    assert (row["kind"], row["name"]) == ("encoder", "lsa")
    assert agrees(row, dev.retrieved, dev)
    stored = json.loads((answers_run[1].folder / "stats.json").read_text())["retrieval"]
    del stored["queries"]
    assert {key: row["metrics"][key] for key in stored} == pytest.approx(stored)


def test_bm25_ranks_all_documents(compared, dev):
    documents = list(dev.corpus)
    excluded = Pairs.of(np.empty(0, np.int64), np.empty(0, np.int64))
    hits = bm25_search(list(dev.queries.values()), list(dev.corpus.values()), 100, excluded)
    order = {
        q: [documents[d] for d in row if d >= 0] for q, row in zip(dev.queries, hits.documents, strict=True)
    }
    assert compared["rows"][1]["kind"] == "lexical"
    assert agrees(compared["rows"][1], order, dev)


def test_a_reranker_sorts_the_first_retrieved_documents_only(compared, dev, reranker):
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(reranker, device="cpu")
    order = {}
    for query, docs in dev.retrieved.items():
        scores = model.predict([(dev.queries[query], dev.corpus[doc]) for doc in docs[:10]])
        order[query] = [docs[i] for i in np.argsort(-scores)] + docs[10:]
    row = compared["rows"][2]
    assert (row["kind"], row["family"]) == ("model", "cross_encoder")
    assert agrees(row, order, dev)
    encoder = compared["rows"][0]["metrics"]
    assert row["metrics"]["recall@10"] == encoder["recall@10"]
    assert row["metrics"]["mrr@10"] != encoder["mrr@10"]


def test_equal_scores_of_a_reranker_reverse_the_order_of_the_encoder(answers_run, dev, reranker, tmp_path):
    import torch
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(reranker, device="cpu")
    with torch.no_grad():
        model.model.classifier.weight.zero_()
    model.save_pretrained(str(tmp_path))
    recipe, run = answers_run
    row = compare_systems(recipe, run, [str(tmp_path)], device="cpu")["rows"][2]
    assert agrees(row, {query: docs[9::-1] + docs[10:] for query, docs in dev.retrieved.items()}, dev)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["answers_run", "captions_run"])
def test_metrics_equal_those_of_the_evaluator_in_training(name, reranker, minilm, request):
    from sentence_transformers import CrossEncoder, SentenceTransformer

    recipe, run = request.getfixturevalue(name)
    rerank = recipe.model_copy(update={"eval": Eval(rerank=20)})
    retrieve = recipe.model_copy(update={"eval": Eval(retrieval=[10]), "train": Train(loss="mnrl")})
    _, _, reranker_row, bi_encoder_row = compare_systems(rerank, run, [reranker, minilm], device="cpu")[
        "rows"
    ]
    models = [
        (rerank, CrossEncoder(reranker, device="cpu"), reranker_row),
        (retrieve, SentenceTransformer(minilm, device="cpu"), bi_encoder_row),
    ]
    for spec, model, row in models:
        evaluator, primary = dev_evaluator(spec, run)
        metrics = evaluator(model)
        assert metrics[primary] == pytest.approx(row["metrics"]["ndcg@10"], abs=1e-3)  # ties
        assert metrics[primary.replace("ndcg", "mrr")] == pytest.approx(row["metrics"]["mrr@10"], abs=1e-3)


@pytest.mark.slow
def test_a_bi_encoder_ranks_all_documents(compared, dev, minilm):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(minilm, device="cpu")
    documents = list(dev.corpus)
    scores = (
        model.encode_query(list(dev.queries.values())) @ model.encode_document(list(dev.corpus.values())).T
    )
    order = {q: [documents[d] for d in np.argsort(-row)] for q, row in zip(dev.queries, scores, strict=True)}
    row = compared["rows"][3]
    assert (row["kind"], row["family"]) == ("model", "sentence_transformer")
    assert agrees(row, order, dev)


@pytest.mark.slow
def test_no_system_ranks_documents_with_the_text_of_the_query(captions_run, minilm):
    recipe, run = captions_run
    result = compare_systems(recipe, run, [minilm], device="cpu")
    for row in result["rows"]:
        assert row["metrics"]["accuracy@1"] > 0.5  # else the query itself would rank first


@pytest.mark.slow
def test_the_row_of_a_model_holds_the_results_of_further_evaluators(captions_run, reranker, minilm):
    recipe, run = captions_run
    result = compare_systems(recipe, run, [reranker, minilm], device="cpu")
    assert "classification" not in result["rows"][0]
    for row in result["rows"][2:]:
        assert {"accuracy", "f1", "f1_threshold", "average_precision"} <= row["classification"].keys()


def test_the_trained_model_and_the_base_model_are_compared(answers_run, reranker, tmp_path):
    import shutil

    recipe, run = answers_run
    shutil.copytree(run.folder, tmp_path / "run")
    shutil.copytree(reranker, tmp_path / "run" / "model")
    recipe = recipe.model_copy(update={"train": Train(base=reranker)})
    result = compare_systems(recipe, Run(tmp_path / "run"), base=True, device="cpu")
    assert [row["kind"] for row in result["rows"]] == ["encoder", "lexical", "base", "trained"]
    assert result["rows"][2]["metrics"] == result["rows"][3]["metrics"]
    assert result["dev"] == {
        "queries": 30, "positives": 30, "documents": result["dev"]["documents"],
        "retrieved": 100, "reranked": 10, "places": [],
    }  # fmt: skip


def test_a_missing_model_or_dev_split_is_reported_in_one_line(answers_run, tmp_path):
    recipe, run = answers_run
    with pytest.raises(EncoderError, match="no such model folder"):
        compare_systems(recipe, run, ["./nowhere"], device="cpu")
    with pytest.raises(RecipeError, match=r"train\.base is scratch"):
        compare_systems(recipe, run, base=True, device="cpu")
    without_dev = recipe.model_copy(update={"split": recipe.split.model_copy(update={"dev_queries": 0})})
    with pytest.raises(RunError, match=r"no dev queries to score on; set split\.dev_queries"):
        compare_systems(without_dev, pipeline.mine(without_dev, tmp_path / "run", "cpu"))


def test_the_result_is_stored_in_the_run(answers_run):
    _, run = answers_run
    result = finished.evaluate_run(run.folder, device="cpu")
    assert json.loads((run.folder / "evaluation.json").read_text()) == result
    assert finished.audit_run(run.folder) == []


def test_metrics_are_computed_at_the_cutoffs_of_the_recipe(answers_run):
    recipe, run = answers_run
    recipe = recipe.model_copy(update={"eval": Eval(retrieval=[3, 7])})
    result = compare_systems(recipe, run, device="cpu")
    assert {"accuracy@3", "precision@7", "recall@7"} <= result["rows"][0]["metrics"].keys()
    assert result["dev"]["reranked"] == 30
