import json

import numpy as np
import pytest

from minerkit.errors import EncoderError, RecipeError, RunError
from minerkit.evaluation.comparison import compare
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
    return compare(recipe, run, [reranker, minilm], device="cpu")


def metrics(order: list[list[str]], positives: list[set[str]]) -> dict[str, float]:
    """The measures of rankings, by the formulas, where every query has one positive."""
    ranks = [
        next((r for r, d in enumerate(o, 1) if d in p), np.inf) for o, p in zip(order, positives, strict=True)
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


def agrees(row: dict, order: dict[str, list[str]], dev) -> bool:
    wanted = metrics([order[query] for query in dev.queries], [dev.positives[query] for query in dev.queries])
    return {key: row["metrics"][key] for key in wanted} == pytest.approx(wanted)


@pytest.fixture(scope="module")
def dev(answers_run):
    found = read_dev_split(*answers_run)
    assert {len(positives) for positives in found.positives.values()} == {1}
    return found


def test_the_retrieved_order_is_measured_as_the_run_measured_it(compared, answers_run, dev):
    row = compared["rows"][0]
    assert (row["kind"], row["name"]) == ("encoder", "lsa")
    assert agrees(row, dev.retrieved, dev)
    known = json.loads((answers_run[1].folder / "stats.json").read_text())["retrieval"]
    assert {key: row["metrics"][key] for key in known if key != "queries"} == pytest.approx(
        {key: value for key, value in known.items() if key != "queries"}
    )


def test_bm25_ranks_all_documents(compared, dev):
    documents = list(dev.corpus)
    nothing = Pairs.of(np.empty(0, np.int64), np.empty(0, np.int64))
    hits = bm25_search(list(dev.queries.values()), list(dev.corpus.values()), 100, nothing)
    order = {
        q: [documents[d] for d in row if d >= 0] for q, row in zip(dev.queries, hits.documents, strict=True)
    }
    assert compared["rows"][1]["kind"] == "lexical"
    assert agrees(compared["rows"][1], order, dev)


def test_a_reranker_orders_the_first_retrieved_and_leaves_the_others_below(compared, dev, reranker):
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(reranker, device="cpu")
    order = {}
    for query, docs in dev.retrieved.items():
        scores = model.predict([(dev.queries[query], dev.corpus[doc]) for doc in docs[:10]])
        order[query] = [docs[i] for i in np.argsort(-scores)] + docs[10:]
    row = compared["rows"][2]
    assert (row["kind"], row["family"]) == ("model", "cross_encoder")
    assert agrees(row, order, dev)
    first = compared["rows"][0]["metrics"]
    assert row["metrics"]["recall@10"] == first["recall@10"]
    assert row["metrics"]["mrr@10"] != first["mrr@10"]


def test_a_reranker_that_gives_every_pair_the_same_score_gains_nothing(answers_run, dev, reranker, tmp_path):
    import torch
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(reranker, device="cpu")
    with torch.no_grad():
        model.model.classifier.weight.zero_()
    model.save_pretrained(str(tmp_path))
    recipe, run = answers_run
    found = compare(recipe, run, [str(tmp_path)], device="cpu")["rows"][2]
    assert agrees(found, {query: docs[9::-1] + docs[10:] for query, docs in dev.retrieved.items()}, dev)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["answers_run", "captions_run"])
def test_the_figures_are_those_of_the_evaluator_that_training_uses(name, reranker, minilm, request):
    from sentence_transformers import CrossEncoder, SentenceTransformer

    recipe, run = request.getfixturevalue(name)
    rerank = recipe.model_copy(update={"eval": Eval(rerank=20)})
    retrieve = recipe.model_copy(update={"eval": Eval(retrieval=[10]), "train": Train(loss="mnrl")})
    _, _, second, third = compare(rerank, run, [reranker, minilm], device="cpu")["rows"]
    trained = [(rerank, CrossEncoder(reranker, device="cpu"), second)]
    trained.append((retrieve, SentenceTransformer(minilm, device="cpu"), third))
    for spec, model, row in trained:
        evaluator, primary = dev_evaluator(spec, run)
        found = evaluator(model)
        assert found[primary] == pytest.approx(row["metrics"]["ndcg@10"], abs=1e-3)  # ties
        assert found[primary.replace("ndcg", "mrr")] == pytest.approx(row["metrics"]["mrr@10"], abs=1e-3)


@pytest.mark.slow
def test_a_bi_encoder_ranks_all_documents_by_itself(compared, dev, minilm):
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


def test_documents_that_are_the_query_are_found_by_nobody(captions_run, minilm):
    recipe, run = captions_run
    found = compare(recipe, run, [minilm], device="cpu")
    for row in found["rows"]:
        assert row["metrics"]["accuracy@1"] > 0.5  # the query itself would stand first


@pytest.mark.slow
def test_further_evaluators_of_the_recipe_are_in_every_models_row(captions_run, reranker, minilm):
    recipe, run = captions_run
    found = compare(recipe, run, [reranker, minilm], device="cpu")
    assert "classification" not in found["rows"][0]
    for row in found["rows"][2:]:
        assert {"accuracy", "f1", "f1_threshold", "average_precision"} <= row["classification"].keys()


def test_the_runs_own_model_and_the_base_are_scored(answers_run, reranker, tmp_path):
    import shutil

    recipe, run = answers_run
    shutil.copytree(run.folder, tmp_path / "run")
    shutil.copytree(reranker, tmp_path / "run" / "model")
    recipe = recipe.model_copy(update={"train": Train(base=reranker)})
    found = compare(recipe, Run(tmp_path / "run"), base=True, device="cpu")
    assert [row["kind"] for row in found["rows"]] == ["encoder", "lexical", "base", "trained"]
    assert found["rows"][2]["metrics"] == found["rows"][3]["metrics"]
    assert found["dev"] == {
        "queries": 30, "positives": 30, "documents": found["dev"]["documents"],
        "retrieved": 100, "reranked": 10, "places": [],
    }  # fmt: skip


def test_what_cannot_be_scored_is_one_clear_line(answers_run, tmp_path):
    recipe, run = answers_run
    with pytest.raises(EncoderError, match="no such model folder"):
        compare(recipe, run, ["./nowhere"], device="cpu")
    with pytest.raises(RecipeError, match=r"train\.base is scratch"):
        compare(recipe, run, base=True, device="cpu")
    bare = recipe.model_copy(update={"split": recipe.split.model_copy(update={"dev_queries": 0})})
    with pytest.raises(RunError, match=r"no dev queries to score on; set split\.dev_queries"):
        compare(bare, pipeline.mine(bare, tmp_path / "bare", "cpu"))


def test_the_result_is_kept_in_the_run(answers_run):
    _, run = answers_run
    found = finished.evaluate_run(run.folder, device="cpu")
    assert json.loads((run.folder / "evaluation.json").read_text()) == found
    assert finished.audit_run(run.folder) == []


def test_recipe_places_are_measured(answers_run):
    recipe, run = answers_run
    recipe = recipe.model_copy(update={"eval": Eval(retrieval=[3, 7])})
    found = compare(recipe, run, device="cpu")
    assert {"accuracy@3", "precision@7", "recall@7"} <= found["rows"][0]["metrics"].keys()
    assert found["dev"]["reranked"] == 30
