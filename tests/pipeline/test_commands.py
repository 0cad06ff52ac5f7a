"""Whole runs on real text: leaks, determinism, resume, accounting."""

import hashlib
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from minerkit.errors import MinerkitError, RunError, SourceError
from minerkit.mining.filters import filter_false_negatives
from minerkit.pipeline import commands as pipeline
from minerkit.pipeline import finished, shards
from minerkit.recipe.load import load_recipe
from minerkit.recipe.recipe import Recipe
from minerkit.storage.run_folder import load, locked
from minerkit.text.normalisation import match_key


def recipe_for(file: Path, **sections) -> Recipe:
    base = {"name": "t", "source": {"path": str(file)}, "encoder": {"model": "lsa"}, **sections}
    return Recipe.model_validate(base)


def digests(folder: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(folder.glob("*.parquet"))}


@pytest.fixture(scope="module")
def pairs_file(sample_pairs, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("data") / "pairs.parquet"
    sample_pairs.head(200).write_parquet(file)
    return file


def test_sample_run_is_clean_and_pinned(sample_run):
    assert finished.audit_run(sample_run) == []
    stats = json.loads((sample_run / "stats.json").read_text())
    assert (stats["input"]["rows"], stats["qrels"], stats["documents"]) == (659, 632, 630)
    assert stats["queries"] == {"train": 560, "dev": 60}
    train = pl.read_parquet(sample_run / "train.parquet")
    assert train.schema == {"question": pl.String, "answer": pl.String, "label": pl.Int64}
    assert train["label"].sum() == 569


def test_manifest_knows_inputs_outputs_versions_and_seeds(sample_run):
    manifest = json.loads((sample_run / "manifest.json").read_text())
    assert {"train.parquet", "dev.parquet", "candidates.parquet", "recipe.yaml"} <= manifest["outputs"].keys()
    assert manifest["seeds"] == {"split": 12, "mine": 12}
    assert manifest["search"] == {"mode": "exact", "recall": 1.0}
    assert (
        next(iter(manifest["inputs"].values()))
        == hashlib.sha256(Path(next(iter(manifest["inputs"]))).read_bytes()).hexdigest()
    )


def test_every_raw_row_is_kept_or_rejected(sample_run):
    qrels, rejected = (pl.read_parquet(sample_run / f"{name}.parquet") for name in ("qrels", "rejected"))
    assert len(qrels) + len(rejected) == 659
    assert set(rejected["reason"]) == {"empty positive", "duplicate pair"}
    assert rejected["source"].str.contains(r"^gooaq\.jsonl:\d+$").all()


def test_a_second_run_does_nothing(sample_run):
    before = {f: (f.stat().st_mtime_ns, f.stat().st_ino) for f in sample_run.rglob("*.parquet")}
    pipeline.mine(load_recipe("gooaq", sample=True), sample_run, "cpu")
    assert {f: (f.stat().st_mtime_ns, f.stat().st_ino) for f in sample_run.rglob("*.parquet")} == before


def stages_done(folder: Path) -> dict[str, int]:
    return {f.stem: f.stat().st_mtime_ns for f in (folder / ".stages").glob("*.json")}


@pytest.mark.parametrize(
    ("change", "first"),
    [
        pytest.param({"format": {"type": "triplet"}}, "format", marks=pytest.mark.slow),
        ({"mine": {"seed": 5}}, "select"),
        pytest.param({"mine": {"negatives": 3}}, "search", marks=pytest.mark.slow),
        ({"split": {"dev_queries": 20}}, "ingest"),
    ],
)
def test_a_changed_section_reruns_from_the_first_stage_it_touches(pairs_file, tmp_path, change, first):
    pipeline.mine(recipe_for(pairs_file), tmp_path / "run", "cpu")
    before = stages_done(tmp_path / "run")
    pipeline.mine(recipe_for(pairs_file, **change), tmp_path / "run", "cpu")
    after = stages_done(tmp_path / "run")
    order = ["ingest", "search", "select", "format", "finish"]
    place = order.index(first)
    assert all(after[stage] == before[stage] for stage in order[:place])
    assert after[first] != before[first]
    assert finished.audit_run(tmp_path / "run") == []


def test_a_damaged_output_is_made_anew(pairs_file, tmp_path):
    run = pipeline.mine(recipe_for(pairs_file), tmp_path / "run", "cpu")
    before = digests(run.folder)
    (run.folder / "negatives.parquet").write_bytes(b"PAR1 torn")
    pipeline.mine(recipe_for(pairs_file), tmp_path / "run", "cpu")
    assert digests(run.folder) == before


def test_a_changed_input_is_read_again(pairs_file, tmp_path):
    file = tmp_path / "pairs.parquet"
    frame = pl.read_parquet(pairs_file)
    frame.head(150).write_parquet(file)
    pipeline.mine(recipe_for(file), tmp_path / "run", "cpu")
    frame.write_parquet(file)
    run = pipeline.mine(recipe_for(file), tmp_path / "run", "cpu")
    rejected = run.read("rejected.parquet").filter(pl.col("stage") == "clean")
    assert len(run.read("qrels.parquet")) == 200 - len(rejected)


def test_two_processes_on_one_run_say_so(pairs_file, tmp_path):
    with locked(tmp_path / "run"), pytest.raises(RunError, match="another minerkit is at work"):
        pipeline.mine(recipe_for(pairs_file), tmp_path / "run", "cpu")


def test_a_failed_stage_leaves_the_old_run_as_it_was(pairs_file, tmp_path, monkeypatch):
    run = pipeline.mine(recipe_for(pairs_file), tmp_path / "run", "cpu")
    before = {f.name: f.read_bytes() for f in run.folder.iterdir() if f.is_file()}

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(RunError, match="No space left"):
        pipeline.mine(recipe_for(pairs_file, mine={"negatives": 2}), tmp_path / "run", "cpu")
    monkeypatch.undo()
    assert {f.name: f.read_bytes() for f in run.folder.iterdir() if f.is_file()} == before


@pytest.mark.slow
def test_same_texts_give_the_same_bytes(pairs_file, minilm, tmp_path):
    """Threads and hash seed change nothing, though every run encodes for itself."""
    code = (
        "import sys, torch; from pathlib import Path; from minerkit.pipeline import commands as pipeline; "
        "from minerkit.recipe.recipe import Recipe; torch.set_num_threads(int(sys.argv[4])); "
        "pipeline.mine(Recipe.model_validate({'name': 't', 'source': {'path': sys.argv[1]}, "
        "'split': {'dev_queries': 20}, 'encoder': {'model': sys.argv[2]}}), Path(sys.argv[3]), 'cpu')"
    )
    found = []
    for seed, threads in ((0, 1), (1, 2), (7, 2)):
        folder = tmp_path / f"run{seed}"
        cache = {"MINERKIT_CACHE": str(tmp_path / f"cache{seed}"), "PYTHONHASHSEED": str(seed)}
        arguments = [str(pairs_file), minilm, str(folder), str(threads)]
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, env={**os.environ, **cache})
        found.append(digests(folder))
    assert found[0] == found[1] == found[2]


def full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


LEAKS = {
    "trailing blanks": lambda text: f"  {text} \u3000\n",
    "full-width forms": full_width,
    "upper case": str.upper,
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "doubled blanks": lambda text: text.replace(" ", "  "),
    "near-duplicate": lambda text: text[:-1] + " indeed.",
    "one letter": lambda text: text[: len(text) // 2] + "x" + text[len(text) // 2 :],
    "closing mark": lambda text: text.rstrip(".") + "!",
    "title case": str.title,
    "swapped case": str.swapcase,
    "line breaks": lambda text: text.replace(" ", "\r\n"),
    "wide blanks": lambda text: text.replace(" ", "\u3000"),
}


@pytest.mark.parametrize("strategy", ["top", pytest.param("random", marks=pytest.mark.slow)])
def test_planted_leaks_do_not_come_through(sample_pairs, tmp_path, strategy):
    """Every positive is planted under other spellings, and every query as a document."""
    rows = [{"query": q, "positive": p} for q, p in sample_pairs.rows()]
    rows = [row for row in rows if len(row["positive"]) > 130]  # one edit: similarity above 0.9
    decoys = iter(range(10**6))
    for query, positive in [(row["query"], row["positive"]) for row in rows]:
        for vary in LEAKS.values():
            rows.append(
                {"query": f"what does entry {next(decoys)} of the list say", "positive": vary(positive)}
            )
        for vary in (str, str.upper, full_width, lambda text: text.rstrip("?"), lambda text: f"{text}  "):
            rows.append({"query": f"which question has number {next(decoys)} here", "positive": vary(query)})
    file = tmp_path / "planted.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    assert len(rows) > 10_000
    original = dict(sample_pairs.rows())
    spec = recipe_for(
        file,
        split={"dev_queries": 300},
        encoder={"model": "lsa", "truncate_dim": 32},
        mine={"relative_margin": None, "absolute_margin": None, "strategy": strategy, "negatives": 10},
    )
    run = pipeline.mine(spec, tmp_path / "run", "cpu")
    assert finished.audit_run(run.folder) == []
    key = match_key(pl.col("text")).alias("key")
    corpus, queries = (
        run.read("corpus.parquet").select("doc_id", key),
        run.read("queries.parquet").select("query_id", key),
    )
    chosen = run.read("negatives.parquet").join(corpus, on="doc_id").select("query_id", negative="key")
    variants = pl.DataFrame(
        [(q, vary(text)) for q, p in original.items() for text in (p, q) for vary in (str, *LEAKS.values())],
        schema=["query", "text"],
        orient="row",
    ).select(match_key(pl.col("query")).alias("query"), negative=key)
    leaked = chosen.join(queries.rename({"key": "query"}), on="query_id").join(
        variants, on=["query", "negative"], how="semi"
    )
    assert leaked.is_empty()


def test_no_text_of_dev_is_in_train(sample_pairs, tmp_path):
    rows = [{"query": q, "positive": p} for q, p in sample_pairs.head(300).rows()]
    rows += [{"query": q.upper(), "positive": p + " indeed."} for q, p in sample_pairs.head(150).rows()]
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    run = pipeline.mine(recipe_for(file, split={"dev_queries": 60}), tmp_path / "run", "cpu")
    train, dev = run.read("train.parquet"), run.read("dev.parquet")
    assert len(dev) > 60

    def keys(frame: pl.DataFrame) -> set[str]:
        texts = pl.concat([frame["query"], frame["positive"]]).to_frame("text")
        return set(texts.select(match_key(pl.col("text"))).to_series())

    assert not keys(train) & keys(dev)
    assert not {text.replace(" indeed", "") for text in keys(train)} & {
        t.replace(" indeed", "") for t in keys(dev)
    }


def test_positive_ratio_is_exact_in_the_rows(pairs_file, tmp_path):
    spec = recipe_for(pairs_file, mine={"positive_ratio": 0.2, "relative_margin": None})
    train = pipeline.mine(spec, tmp_path / "run", "cpu").read("train.parquet")
    assert train["label"].mean() == 0.2


def test_queries_that_cannot_be_filled_are_rejected_with_a_reason(pairs_file, tmp_path):
    spec = recipe_for(
        pairs_file, mine={"negatives": 5, "relative_margin": 0.9, "shortfall": "drop", "range_max": 8}
    )
    run = pipeline.mine(spec, tmp_path / "run", "cpu")
    rejected = run.read("rejected.parquet").filter(pl.col("stage") == "mine")
    assert len(rejected) > 0
    assert set(rejected["reason"]) == {"too few negatives"}
    assert rejected["text"].str.contains(r"^\d of 5: ").all()
    assert finished.audit_run(run.folder) == []


def test_fewer_documents_than_negatives_is_one_clear_line(tmp_path):
    file = tmp_path / "few.jsonl"
    file.write_text(
        "\n".join(
            json.dumps({"query": f"question number {i}", "positive": f"the answer {i} " * i})
            for i in range(1, 5)
        )
    )
    with pytest.raises(SourceError, match="the corpus has 4"):
        pipeline.mine(recipe_for(file), tmp_path / "run", "cpu")


def test_nothing_usable_is_one_clear_line(tmp_path):
    file = tmp_path / "empty.jsonl"
    file.write_text('{"query": "a question", "positive": ""}\n' * 3)
    with pytest.raises(SourceError, match="no query has a positive, in 3 rows \\(3 empty positive\\)"):
        pipeline.mine(recipe_for(file), tmp_path / "run", "cpu")


@pytest.mark.slow
def test_static_encoder_is_trained_on_the_run_itself_and_is_deterministic(
    sample_pairs, tmp_path, monkeypatch
):
    file = tmp_path / "pairs.parquet"
    sample_pairs.write_parquet(file)
    found = []
    for cache in ("a", "b"):
        monkeypatch.setenv("MINERKIT_CACHE", str(tmp_path / cache))
        run = pipeline.mine(recipe_for(file, encoder={"model": "static"}), tmp_path / f"run-{cache}", "cpu")
        found.append(digests(run.folder))
    assert found[0] == found[1]
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert "inflated" in manifest["encoder"]["note"]


def test_chinese_questions_find_chinese_passages(tmp_path):
    """Word segmentation and normalisation work without blanks between words."""
    topics = [
        "光刻机",
        "晶圆",
        "封装测试",
        "存储芯片",
        "碳化硅",
        "图像传感器",
        "射频前端",
        "电源管理",
        "刻蚀设备",
        "汽车电子",
    ]
    rows = [
        {
            "query": f"{topic}的第{n}个特点是什么？",
            "positive": f"{topic}有很多特点，其中第{n}个特点与{other}有关，业内已有讨论。",
        }
        for topic in topics
        for n, other in enumerate(topics)
    ]
    file = tmp_path / "zh.jsonl"
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    run = pipeline.mine(recipe_for(file, clean={"near_duplicate": 1.0}), tmp_path / "run", "cpu")
    stats = json.loads((run.folder / "stats.json").read_text())
    assert stats["retrieval"]["accuracy@10"] > 0.9
    assert finished.audit_run(run.folder) == []


def test_load_refuses_what_is_not_a_run(tmp_path):
    with pytest.raises(RunError, match="no finished run"):
        load(tmp_path)
    with pytest.raises(MinerkitError, match="no run folder"):
        load(tmp_path / "none")


@pytest.mark.slow
def test_squad_agrees_with_brute_force(real_data, minilm, tmp_path):
    """2,000 random queries of the real corpus, mined exactly as numpy would."""
    spec = load_recipe(
        "gooaq",
        {
            "source.hub": None, "source.path": str(real_data / "squad_v1.1" / "train.jsonl.gz"),
            "source.limit": 20_000, "source.query": "question", "source.positive": "passage",
            "encoder.model": minilm, "mine.absolute_margin": None, "mine.relative_margin": 0.05,
            "mine.range_max": None,
        },
    )  # fmt: skip
    run = pipeline.mine(spec, tmp_path / "run", "cpu")
    assert finished.audit_run(run.folder) == []
    from tests.support.brute_force import disagreements

    assert disagreements(run, spec, np.random.default_rng(0), 2000) == []


@pytest.mark.parametrize(
    ("name", "rows", "positives", "documents"),
    [
        ("semiconductor-zh", 343, 285, 227),
        ("product-captions", 859, 1946, 848),
        ("ai-ir", 497, 489, 459),
    ],
)
def test_every_sample_is_mined_clean_and_pinned(name, rows, positives, documents, mined):
    run = load(mined(name))
    assert finished.audit_run(run.folder) == []
    account = pipeline.ingest_account(run, load_recipe(name, sample=True))
    assert (account["rows"], account["positives"], account["documents"]) == (rows, positives, documents)
    train = run.read("train.parquet")
    if name == "semiconductor-zh":
        assert train.schema == {"question": pl.String, "passage": pl.String, "label": pl.Int64}
        assert (len(train), train["label"].sum()) == (890, 178)
        useless = run.read("rejected.parquet").filter(pl.col("reason").str.contains("content of its own"))
        assert len(useless) == 10
    if name == "product-captions":
        assert train.schema["label"] == pl.Float32
        assert round(train["label"].mean(), 3) == 0.23


def test_judged_negatives_are_used_and_marked_and_a_low_grade_is_neither(tmp_path):
    things = ["rotor", "stator", "bearing", "flange", "gasket", "piston", "valve", "spring", "lever", "rivet"]
    grades = {
        "the {} sits in box four": 2,
        "a drawing of the {} hangs there": 0,
        "the {} was moved lately": 1,
    }
    rows = [
        {"q": f"where is the {thing}", "d": text.format(thing), "r": grade}
        for text, grade in grades.items()
        for thing in things
    ]
    file = tmp_path / "judged.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"path": str(file), "query": "q", "positive": "d", "relevance": "r", "min_relevance": 2}
    spec = recipe_for(file, source=source, mine={"negatives": 1})
    run = pipeline.mine(spec, tmp_path / "run", "cpu")
    assert finished.audit_run(run.folder) == []
    counts = run.read("qrels.parquet")["relevance"].value_counts().sort("relevance").rows()
    assert counts == [(0, 10), (1, 10), (2, 10)]
    assert len(run.read("pairs.parquet")) == 10
    negatives = run.read("negatives.parquet").join(run.read("corpus.parquet"), on="doc_id")
    assert set(negatives["source"]) == {"judged"}
    assert negatives["text"].str.contains("drawing").all()


def test_captions_of_one_item_are_never_each_others_negatives(tmp_path):
    file = tmp_path / "captions.csv"
    rows = [f"{i},thing {i} seen from side {s}\n" for i in range(12) for s in range(3)]
    file.write_text("item,text\n" + "".join(rows))
    spec = recipe_for(
        file,
        source={"path": str(file), "format": "captions", "group": "item", "pairing": "first"},
        clean={"near_duplicate": None},
        split={"dev_queries": 3, "by": "group"},
        mine={"negatives": 3, "relative_margin": 0},
    )
    run = pipeline.mine(spec, tmp_path / "run", "cpu")
    assert finished.audit_run(run.folder) == []
    documents, queries = run.read("corpus.parquet"), run.read("queries.parquet")
    met = run.read("negatives.parquet").join(documents, on="doc_id").join(queries, on="query_id")
    assert (met["group"] != met["group_right"]).all()


def test_groups_that_are_not_there_keep_nothing_from_being_a_negative(sample_pairs, tmp_path):
    sample_pairs.head(40).write_parquet(tmp_path / "p.parquet")
    spec = recipe_for(tmp_path / "p.parquet", mine={"exclude_group": True})
    with pytest.raises(SourceError, match=r"mine\.exclude_group=true, .* name their column in source\.group"):
        pipeline.mine(spec, tmp_path / "run", "cpu")


def test_a_question_that_does_not_find_its_own_positive_is_dropped_by_the_round_trip(sample_pairs, tmp_path):
    pairs = sample_pairs.head(120)
    swapped = pairs.with_columns(
        positive=pl.when(pl.int_range(pl.len()) < 2).then(pl.col("positive").reverse()).otherwise("positive")
    )
    swapped.write_parquet(tmp_path / "p.parquet")
    spec = recipe_for(tmp_path / "p.parquet", mine={"negatives": 2, "round_trip": 20})
    run = pipeline.mine(spec, tmp_path / "run", "cpu")
    assert finished.audit_run(run.folder) == []
    lost = run.read("rejected.parquet").filter(pl.col("reason").str.contains("first 20 documents"))
    assert pairs["query"][0] in lost["text"].to_list()
    assert len(lost) < 30
    assert not run.read("train.parquet")["query"].is_in(lost["text"].implode()).any()


@pytest.mark.slow
def test_documents_of_the_other_side_are_mined_only_where_the_recipe_says_so(sample_pairs, tmp_path):
    sample_pairs.head(150).write_parquet(tmp_path / "p.parquet")
    crossing = {}
    for shared in (False, True):
        spec = recipe_for(
            tmp_path / "p.parquet",
            split={"dev_queries": 30, "shared_documents": shared},
            mine={"negatives": 3},
        )
        run = pipeline.mine(spec, tmp_path / f"run-{shared}", "cpu")
        assert finished.audit_run(run.folder) == []
        sides = run.read(".stages/documents.parquet").rename({"split": "side"})
        found = (
            run.read("negatives.parquet")
            .join(sides, on="doc_id")
            .join(run.read("queries.parquet"), on="query_id")
        )
        crossing[shared] = int((found["side"] != found["split"]).sum())
    assert crossing[False] == 0 < crossing[True]


def several_positives(pairs: pl.DataFrame, file: Path) -> Path:
    """Pairs of which every fourth question has the answers of its neighbours, too."""
    more = pairs.with_columns(positive=pl.col("positive").shift(-1)).gather_every(4)
    most = pairs.with_columns(positive=pl.col("positive").shift(-2)).gather_every(8)
    pl.concat([pairs, more, most]).drop_nulls().write_parquet(file)
    return file


def test_candidates_are_judged_within_the_places_of_all_positives(sample_pairs, tmp_path):
    file = several_positives(sample_pairs.head(120), tmp_path / "pairs.parquet")
    spec = recipe_for(file, mine={"range_max": 4, "negatives": 4, "relative_margin": None})
    run = pipeline.mine(spec, tmp_path / "run", "cpu")
    candidates, excluded = run.read("candidates.parquet"), run.read(".stages/excluded.parquet")
    assert candidates.filter(pl.col("relevance") > 0).group_by("query_id").len()["len"].max() == 3
    # A range of 4 looks at 4 + 3 places, all of them for a query whose positives rank below.
    judged = run.read("judged.parquet")
    assert judged.filter(pl.col("reason").is_null())["rank"].max() == 7
    expected = filter_false_negatives(candidates, excluded, spec.mine)
    assert judged.select("query_id", "doc_id", "reason").equals(
        expected.select("query_id", "doc_id", "reason")
    )


@pytest.mark.parametrize(
    "rules",
    [
        {"range_max": 5, "positive_ratio": 0.3, "shortfall": "drop"},
        pytest.param({"negatives": 3, "round_trip": 4, "keep": 4}, marks=pytest.mark.slow),
        pytest.param(
            {"strategy": "random", "negatives": 6, "relative_margin": 0.3, "shortfall": "keep"},
            marks=pytest.mark.slow,
        ),
    ],
    ids=str,
)
def test_a_run_in_many_shards_is_the_run_in_one(sample_pairs, tmp_path, monkeypatch, rules):
    file = several_positives(sample_pairs.head(160), tmp_path / "pairs.parquet")
    spec = recipe_for(file, mine=rules, split={"dev_queries": 25})
    whole = pipeline.mine(spec, tmp_path / "whole", "cpu")
    monkeypatch.setattr(shards, "LEAST", 9)
    monkeypatch.setattr(shards, "MOST", 9)
    parts = pipeline.mine(spec, tmp_path / "parts", "cpu")
    assert finished.audit_run(parts.folder) == []
    for file in sorted(whole.folder.glob("*.parquet")):
        assert parts.read(file.name).equals(whole.read(file.name)), file.name
    assert parts.read_json("stats.json") == whole.read_json("stats.json")


def test_each_query_of_a_split_is_in_one_shard_and_in_order(sample_run):
    queries = load(sample_run).read("queries.parquet")
    for split in ("train", "dev"):
        ids = queries.filter(pl.col("split") == split)["query_id"]
        assert ids.is_sorted() and ids.n_unique() == len(ids)


def test_what_a_killed_run_was_writing_is_removed(tmp_path):
    for folder in (tmp_path, tmp_path / ".stages" / "shards"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".README.md.99999999.part").write_bytes(b"half")
    with locked(tmp_path):
        assert not list(tmp_path.rglob("*.part"))


def test_mining_a_small_corpus_loads_neither_torch_nor_a_compiler(tmp_path):
    code = (
        "import sys; from pathlib import Path; import minerkit; "
        "minerkit.mine(minerkit.load_recipe('gooaq', sample=True), Path(sys.argv[1])); "
        "heavy = {'torch', 'numba', 'sentence_transformers', 'datasets'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=True)
