"""What the keys of `encoder`, `mine` and `format` change in candidates, negatives and training rows."""

from typing import Any

import polars as pl
import pytest

from minerkit.embeddings import EmbeddingCache, load_encoder
from tests.support.recipe_effects import WORDS, Kit, per_query, scores, shows, stats


@shows("encoder.model")
def _(kit, bi_encoder):
    found = {
        model: kit.mined(encoder__model=model).read_json("manifest.json") for model in ("lsa", bi_encoder)
    }
    assert found["lsa"]["retrieval"] != found[bi_encoder]["retrieval"]
    assert found[bi_encoder]["encoder"]["model"] == bi_encoder


@shows("encoder.revision")
def _(kit, bi_encoder, monkeypatch):
    import sentence_transformers

    model, seen = sentence_transformers.SentenceTransformer(bi_encoder, device="cpu"), []

    def load(name: str, revision: str | None, device: str | None) -> Any:
        seen.append(revision)
        return model

    monkeypatch.setattr(sentence_transformers, "SentenceTransformer", load)
    prints = {
        made(kit, model="user/model", revision=revision).fingerprint("query") for revision in (None, "v2")
    }
    assert seen == [None, "v2"] and len(prints) == 2


def made(kit: Kit, **encoder: Any) -> Any:
    spec = kit.recipe(**{f"encoder__{name}": value for name, value in encoder.items()}).encoder
    return load_encoder(spec, pl.DataFrame(), pl.Series(WORDS), "cpu")


def encoded(kit: Kit, kind: str, **encoder: Any) -> list[list[float]]:
    return made(kit, **encoder).encode(WORDS, kind).tolist()


@shows("encoder.query_prompt")
def _(kit, bi_encoder):
    plain, prompted = ({"model": bi_encoder, "query_prompt": prompt} for prompt in (None, "query: "))
    assert encoded(kit, "query", **plain) != encoded(kit, "query", **prompted)
    assert encoded(kit, "document", **plain) == encoded(kit, "document", **prompted)


@shows("encoder.document_prompt")
def _(kit, bi_encoder):
    plain, prompted = ({"model": bi_encoder, "document_prompt": prompt} for prompt in (None, "passage: "))
    assert encoded(kit, "document", **plain) != encoded(kit, "document", **prompted)
    assert encoded(kit, "query", **plain) == encoded(kit, "query", **prompted)


@shows("encoder.max_length")
def _(kit, bi_encoder):
    assert encoded(kit, "query", model=bi_encoder) != encoded(kit, "query", model=bi_encoder, max_length=8)


@shows("encoder.truncate_dim")
def _(kit, bi_encoder):
    assert len(encoded(kit, "query", model=bi_encoder, truncate_dim=4)[0]) == 4
    assert len(encoded(kit, "query", model=bi_encoder)[0]) == 16
    assert len(encoded(kit, "query", truncate_dim=4)[0]) == 4  # of LSA, too


@shows("encoder.normalize")
def _(kit, bi_encoder):
    for model in ("lsa", bi_encoder):
        lengths = [
            [sum(x * x for x in row) for row in encoded(kit, "query", model=model, normalize=normalize)]
            for normalize in (True, False)
        ]
        assert all(length == pytest.approx(1, abs=1e-4) for length in lengths[0])
        assert not any(length == pytest.approx(1, abs=1e-2) for length in lengths[1])
    assert "| score | dot product |" in kit.card(encoder__normalize=False)


@shows("encoder.dtype")
def _(kit, tmp_path):
    for dtype in ("float16", "float32"):
        encoder = made(kit, dtype=dtype)
        cache = EmbeddingCache(encoder.fingerprint("query"), encoder.dtype, tmp_path)
        vectors = cache.embed(pl.Series(WORDS), lambda part, done, it=encoder: it.encode(part, "query", done))
        assert vectors.dtype == dtype


# --- mining -------------------------------------------------------------------------------------------


@shows("mine.negatives")
def _(kit):
    assert per_query(kit.mined()).max() == 3
    assert per_query(kit.mined(mine__negatives=2)).max() == 2


@shows("mine.positive_ratio")
def _(kit):
    run = kit.mined(mine__negatives=None, mine__positive_ratio=0.4)
    assert stats(run)["positive_share"] == pytest.approx(0.4, abs=0.5 / stats(run)["rows"])


@shows("mine.absolute_margin")
def _(kit):
    base, apart = (
        scores(kit.mined(mine__absolute_margin=margin, mine__shortfall="keep")) for margin in (0, 0.2)
    )
    gap = pl.col("pos_score") - pl.col("score")
    assert apart.select(gap.min()).item() > 0.2 - 1e-6 > base.select(gap.min()).item()


@shows("mine.relative_margin")
def _(kit):
    base, apart = (
        scores(kit.mined(mine__relative_margin=margin, mine__shortfall="keep")) for margin in (0, 0.5)
    )
    share = pl.col("score") / pl.col("pos_score")
    positive = pl.col("pos_score") > 0.01
    assert apart.filter(positive).select(share.max()).item() < 0.5 + 1e-4
    assert base.filter(positive).select(share.max()).item() > 0.6


@shows("mine.max_score")
def _(kit):
    assert scores(kit.mined())["score"].max() > 0.1
    assert scores(kit.mined(mine__max_score=0.1))["score"].max() <= 0.1 + 1e-6


@shows("mine.min_score")
def _(kit):
    assert scores(kit.mined())["score"].min() < 0.1
    assert scores(kit.mined(mine__min_score=0.1, mine__shortfall="keep"))["score"].min() > 0.1 - 1e-6


@shows("mine.range_min")
def _(kit):
    first, after = (kit.mined(mine__range_min=skipped).read("negatives.parquet") for skipped in (0, 3))
    assert len(after) and not len(after.join(first, on=["query_id", "doc_id"], how="semi"))


@shows("mine.range_max")
def _(kit):
    wide, narrow = (kit.mined(mine__range_max=most, mine__shortfall="keep") for most in (None, 4))
    assert narrow.read("negatives.parquet")["rank"].max() <= 5  # a place more for the positive
    assert wide.read("negatives.parquet")["rank"].max() > 5


@shows("mine.shortfall")
def _(kit):
    found = {
        way: stats(kit.mined(mine__range_max=4, mine__shortfall=way)) for way in ("keep", "backfill", "drop")
    }
    counts = {way: [each[name] for name in COUNTS] for way, each in found.items()}
    assert counts["keep"][0] and not counts["keep"][1] and not counts["keep"][2]
    assert counts["backfill"][1] and not counts["backfill"][0]
    assert counts["drop"][2] > counts["backfill"][2] and not counts["drop"][0] and not counts["drop"][1]


COUNTS = ("short_queries", "backfilled", "dropped_queries")


def chosen(run: Any) -> set[tuple[str, str]]:
    return set(run.read("negatives.parquet").select("query_id", "doc_id").rows())


@shows("mine.strategy")
def _(kit):
    top, random = (kit.mined(mine__strategy=strategy, mine__keep=30) for strategy in ("top", "random"))
    assert chosen(top) != chosen(random)
    assert scores(top)["score"].mean() > scores(random)["score"].mean()


@shows("mine.seed")
def _(kit):
    runs = [kit.mined(mine__strategy="random", mine__keep=30, mine__seed=seed) for seed in (12, 13)]
    assert chosen(runs[0]) != chosen(runs[1])


@shows("mine.keep")
def _(kit):
    counts = [kit.mined(mine__keep=keep).read("candidates.parquet")["rank"].max() for keep in (10, 30)]
    assert counts == [10, 30]


GRADED = {
    "source__relevance": "grade",
    "encoder__model": "lsa",
    "encoder__truncate_dim": 32,
    "mine__negatives": 2,
}


@shows("mine.judged")
def _(kit):
    sources = [
        set(kit.mined(kit.graded, **GRADED, mine__judged=judged).read("negatives.parquet")["source"])
        for judged in (True, False)
    ]
    assert "judged" in sources[0] and sources[1] == {"dense"}


@shows("mine.exclude_group")
def _(kit):
    found = {}
    for excluded in (False, True):
        run = kit.mined(source__group="story", mine__exclude_group=excluded)
        groups = run.read("corpus.parquet").select("doc_id", document="group")
        asked = run.read("queries.parquet").select("query_id", "group")
        met = run.read("negatives.parquet").join(groups, on="doc_id").join(asked, on="query_id")
        found[excluded] = int((met["document"] == met["group"]).sum())
    assert found[False] > 0 == found[True]


# --- the training rows --------------------------------------------------------------------------------


def rows(kit: Kit, **shape: Any) -> pl.DataFrame:
    return kit.mined(format=shape).read("train.parquet")


@shows("format.type")
def _(kit):
    columns = {shape: rows(kit, type=shape).columns for shape in SHAPES}
    assert columns == SHAPES


SHAPES = {
    "pair": ["query", "positive"],
    "triplet": ["query", "positive", "negative"],
    "n-tuple": ["query", "positive", "negative_1", "negative_2", "negative_3"],
    "labeled-pair": ["query", "positive", "label"],
    "labeled-list": ["query", "positive", "labels"],
}


@shows("format.scores")
def _(kit):
    for shape, columns in SHAPES.items():
        extra = set(rows(kit, type=shape, scores=True).columns) - set(columns)
        assert extra and extra <= {"score", "scores"}


@shows("format.labels")
def _(kit):
    assert rows(kit)["label"].dtype == pl.Int64
    assert rows(kit, labels="float")["label"].dtype == pl.Float32


@shows("format.columns")
def _(kit):
    for shape in SHAPES:
        assert rows(kit, type=shape, columns=["asked", "said"]).columns[:2] == ["asked", "said"]
