from io import StringIO

from rich.console import Console

from minerkit.reports.terminal.evaluation import render_comparison

METRICS = {
    "map@100": 0.5,
    "mrr@10": 0.5,
    "ndcg@10": 0.6,
    "accuracy@1": 0.4,
    "accuracy@10": 0.8,
    "recall@30": 0.9,
}
FOUND = {
    "dev": {
        "queries": 1200, "positives": 1300, "documents": 9000, "retrieved": 100, "reranked": 30, "places": [],
    },
    "rows": [
        {"kind": "encoder", "name": "lsa", "metrics": METRICS},
        {"kind": "lexical", "name": "BM25", "metrics": {**METRICS, "ndcg@10": 0.55}},
        {
            "kind": "trained",
            "name": "runs/a/model",
            "family": "cross_encoder",
            "metrics": {**METRICS, "ndcg@10": 0.7123},
            "classification": {"accuracy": 0.91, "accuracy_threshold": 0.5},
            "nano_beir": {"NanoNQ_R100_ndcg@10": 0.48, "NanoNQ_R100_base_ndcg@10": 0.5, "NanoNQ_R100_map": 1},
        },
    ],
}  # fmt: skip


def shown(found: dict) -> list[str]:
    console = Console(width=200, record=True, file=StringIO())
    console.print(render_comparison(found))
    return console.export_text().splitlines()


def test_models_stand_beside_the_retrieved_order_with_the_difference():
    lines = shown(FOUND)
    assert lines[1].split() == ["map@100", "mrr@10", "ndcg@10", "accuracy@1", "accuracy@10"]
    assert lines[2].split() == [
        "retrieved",
        "order",
        "(lsa)",
        "0.5000",
        "0.5000",
        "0.6000",
        "0.4000",
        "0.8000",
    ]
    assert "0.5500 (-0.0500)" in lines[3]
    assert "trained model (runs/a/model)" in lines[4] and "0.7123 (+0.1123)" in lines[4]
    assert any("1,200 dev queries, 1,300 positives, 9,000 documents" in line for line in lines)
    assert any("first 30 retrieved; 90.0% of a query's positives" in line for line in lines)


def test_further_evaluators_have_tables_of_their_own():
    text = "\n".join(shown(FOUND))
    assert "accuracy_threshold" in text and "0.9100" in text
    assert "NanoNQ_R100_ndcg@10" in text
    assert "base_ndcg" not in text and "NanoNQ_R100_map" not in text


def test_places_of_the_recipe_are_columns():
    metrics = METRICS | {f"{name}@5": 0.1 for name in ("accuracy", "precision", "recall")}
    lines = shown(
        {"dev": {**FOUND["dev"], "places": [5]}, "rows": [{**FOUND["rows"][0], "metrics": metrics}]}
    )
    assert lines[1].split()[3:] == ["accuracy@5", "precision@5", "recall@5"]
