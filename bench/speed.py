"""Measure minerkit beside `sentence_transformers.util.mine_hard_negatives`: seconds, memory, what they find.

    python -m bench.speed static random --folder worlds
    python -m bench.speed minilm --cold 1 --folder worlds     # encodes once ...
    python -m bench.speed minilm --cold 0 --folder worlds     # ... and goes on from that
    python -m bench.speed minilm --cold 1 --lend              # the peer need not encode at all
    python -m bench.speed growth --sizes 10000 30000 100000 300000 1000000 --peer-rows 100000
    python -m bench.speed million
    python -m bench.speed memory

The worlds are described in bench/worlds.py. Both sides read the same pairs, encode with the same model, mine
five negatives a query and write labelled pairs as Parquet. They follow the same margin; the peer looks at 100
places (range_max), minerkit as far as it must. The two take turns, each run in a process of its own: cold
ones, which encode and keep what they have encoded, then warm ones, which find it in their cache. With --lend
only minerkit has cold runs, and the peer finds minerkit's vectors. Imports are not timed.

A JSON line a case, on stdout; medians of the runs, in seconds and bytes:

- encode: of the cold runs. load: the model. ingest: reading, and in minerkit cleaning and the comparison of
  all texts for near-duplicates, which the peer has nothing of.
- after_encoding: of the warm runs, all but ingest and load; minerkit's stages beside it.
- end_to_end: of the cold runs, without and with ingest.
- peak, peak_cold: resident memory of a warm and of a cold run as a whole.
- found: the share of the wanted negatives.
- ratio: how many times the peer takes what minerkit takes; texts a second, how many times minerkit's.
- products: seconds that the products of all queries and documents alone would take (bench/products.py), and
  their share of minerkit's search.
- recall: how many of the exact negatives of a sample of queries minerkit has (float64, all documents scored).

growth ends with what the peer's figures would be at each size, from least squares over the measured ones:
seconds as a*n + b*n*n, bytes as a + b*n*min(n, 16384), since it scores 16384 queries at once.
million compares the whole search with FAISS's exact index, measured on a block and multiplied by the number
of blocks. minerkit may search approximately there, at a recall of 0.98; smaller cases it searches exactly.
memory mines the negatives of 100,000 queries among 100,000 documents and among ten times as many, exactly,
with --memory-gb 1 (the peer would hold 16384 scores of every document), and ends with the ratio of the peaks.
"""

import argparse
import functools
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from bench import products, worlds

NEGATIVES, PLACES = 5, 100
#: Queries the peer scores at once against all documents (its faiss_batch_size, with or without FAISS).
PEER_BLOCK = 16384
#: Each case's margin, which both sides keep.
MARGINS: dict[str, dict[str, float]] = {
    "static": {"absolute_margin": 0.0},
    "random": {"absolute_margin": 0.0},
    "minilm": {"relative_margin": 0.05},
    "squad": {"relative_margin": 0.05},
    "clustered": {"relative_margin": 0.05},
    "corpus": {"relative_margin": 0.05},
}
#: Where minerkit may search approximately: the share of the documents wanted that it has to find.
RECALL_TARGET = 0.98
CASES = ("static", "minilm", "random", "squad", "growth", "million", "memory")
#: Worlds whose vectors are made, and not encoded.
MADE = ("clustered", "corpus")
#: Documents of the worlds whose peaks are compared, and gigabytes that mining may use there.
CORPORA, ALLOWED = (100_000, 1_000_000), 1.0
#: Queries and documents of the block that FAISS is measured on, and documents it finds for each.
FAISS_BLOCK, FAISS_DEPTH = (2_000, 200_000), 100
#: Queries scored against all documents at once.
SAMPLED_AT_ONCE = 50

Figures = dict[str, Any]


def recipe(folder: Path) -> Any:
    """Make the recipe of a world: the peer's margin, no range, as many negatives as the peer is asked for."""
    from minerkit.recipe import Recipe

    rules = {"negatives": NEGATIVES, "shortfall": "keep", "relative_margin": None, **MARGINS[case(folder)]}
    model = {"model": str(folder / "model")}
    search = {"recall_target": RECALL_TARGET, "mode": "exact" if case(folder) == "corpus" else "auto"}
    return Recipe.model_validate(
        {"name": "speed", "source": worlds.source(folder), "encoder": model, "mine": rules, "search": search}
    )


def case(folder: Path) -> str:
    """Give the case of a world's folder."""
    return folder.name.partition("-")[0]


def ours(folder: Path, memory_gb: float | None = None) -> Figures:
    """Mine with minerkit, in a process of its own."""
    os.environ["MINERKIT_CACHE"] = str(folder / "ours")
    import sentence_transformers  # noqa: F401  # imports are not timed

    from bench.ingest import Stopwatch
    from minerkit.pipeline import MINING
    from minerkit.pipeline import commands as pipeline

    spec, watch, started = recipe(folder), Stopwatch(), time.perf_counter()
    run = pipeline.mine(spec, folder / "run", "cpu", watch, memory_gb)
    whole, peak = time.perf_counter() - started, peak_memory()
    markers = {stage: run.marker(stage) or {} for stage in (stage.name for stage in MINING)}
    stages = {stage: marker["seconds"] for stage, marker in markers.items()}
    told = sum(watch.seconds.get(f"Encoding {texts}", 0.0) for texts in ("queries", "documents"))
    split = {"encode": told, **markers["search"]["facts"].get("seconds", {})}
    queries, documents = (len(run.read(f"{table}.parquet")) for table in ("queries", "corpus"))
    found = len(run.read("negatives.parquet")) / (NEGATIVES * queries)
    sizes = {"rows": len(run.read("qrels.parquet")), "queries": queries, "documents": documents}
    load = watch.seconds.get("Loading the encoder", 0.0)
    return {
        **stages,
        **sizes,
        "whole": whole,
        "load": load,
        "encode": split["encode"],
        "peak": peak,
        "found": found,
    }


def peer(folder: Path) -> Figures:
    """Mine with the peer, in a process of its own."""
    import datasets
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

    datasets.disable_progress_bars()
    encode = 0.0

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            nonlocal encode
            began = time.perf_counter()
            made = function(*given, **named)
            encode += time.perf_counter() - began
            return made

        return call

    started = time.perf_counter()
    pairs, documents = worlds.read(folder)
    data = datasets.Dataset.from_polars(pairs)
    read = time.perf_counter() - started
    model = SentenceTransformer(str(folder / "model"), device="cpu")
    load = time.perf_counter() - started - read
    for name in ("encode_query", "encode_document"):
        setattr(model, name, timed(getattr(model, name)))
    mined = mine_hard_negatives(
        data,
        model,
        corpus=documents,
        range_max=PLACES,
        num_negatives=NEGATIVES,
        output_format="labeled-pair",
        cache_folder=str(folder / "peer"),
        verbose=False,
        **MARGINS[case(folder)],
    )
    mined.to_parquet(folder / "peer.parquet")
    whole, peak = time.perf_counter() - started, peak_memory()
    negatives = (pl.DataFrame(mined.data.table)["label"] == 0).sum()
    found = negatives / (NEGATIVES * pairs["query"].n_unique())
    return {"ingest": read, "load": load, "encode": encode, "whole": whole, "peak": peak, "found": found}


def lend(folder: Path) -> None:
    """Put the vectors that minerkit has encoded where the peer looks for its own."""
    import hashlib

    os.environ["MINERKIT_CACHE"] = str(folder / "ours")
    from sentence_transformers import SentenceTransformer

    from minerkit.embeddings import EmbeddingCache, load_encoder

    model = str(folder / "model")
    name = SentenceTransformer(model, device="cpu").model_card_data.base_model or ""
    pairs, documents = worlds.read(folder)
    encoder = load_encoder(recipe(folder).encoder, pairs, pairs["query"], "cpu")
    (folder / "peer").mkdir(exist_ok=True)
    corpus = [*(documents or []), *pairs["document"]]
    for side, kind, texts in (("query", "query", pairs["query"]), ("corpus", "document", corpus)):
        distinct = list(dict.fromkeys(texts))
        cache = EmbeddingCache(encoder.fingerprint(kind), encoder.dtype)  # type: ignore[arg-type]
        vectors = cache.embed(
            pl.Series(distinct),
            lambda part, done, kind=kind: encoder.encode(part, kind, done),  # type: ignore[misc]
        )
        key = hashlib.sha256(repr((name, None, None, distinct)).encode()).hexdigest()
        np.save(folder / "peer" / f"{side}_embeddings_{key}.npy", vectors.take(0, len(vectors)))


def peak_memory() -> int:
    """Give the peak of this process's resident memory in bytes."""
    status = Path("/proc/self/status")  # rusage counts the process that this one was started from, too
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def recall(folder: Path, count: int) -> Figures:
    """Score all documents for a sample of queries in float64; give the share of the best that minerkit has.

    Args:
        folder: A world that minerkit has mined in.
        count: How many queries.

    Returns:
        recall, in 0..1; and dim, the length of a vector.
    """
    os.environ["MINERKIT_CACHE"] = str(folder / "ours")
    from minerkit.embeddings import EmbeddingCache, Kind, load_encoder
    from minerkit.mining import thresholds
    from minerkit.storage import Run

    run, spec = Run(folder / "run"), recipe(folder)
    queries, corpus = run.read("queries.parquet"), run.read("corpus.parquet").sort("doc_id")
    encoder = load_encoder(spec.encoder, queries, queries["text"], "cpu")

    def vectors(texts: pl.Series, kind: Kind) -> Any:
        cache = EmbeddingCache(encoder.fingerprint(kind), encoder.dtype)
        return cache.embed(texts, lambda part, done: encoder.encode(part, kind, done))

    queries = queries.sample(min(count, len(queries)), seed=worlds.SEED)
    place = corpus.select("doc_id").with_row_index("place")

    def places(pairs: pl.DataFrame) -> list[npt.NDArray[np.int64]]:
        """Give the documents of each query in the sample, as positions."""
        known = pairs.join(place, on="doc_id").group_by("query_id").agg("place")
        lists = queries.join(known, on="query_id", how="left", maintain_order="left")["place"]
        return [np.array(found if found is not None else [], np.int64) for found in lists]

    positives = places(run.read("qrels.parquet").filter(pl.col("relevance") > 0))
    shut, mined = places(run.read(".stages/excluded.parquet")), places(run.read("negatives.parquet"))
    asked, documents = vectors(queries["text"], "query"), vectors(corpus["text"], "document")
    right = wanted = 0
    for start in range(0, len(queries), SAMPLED_AT_ONCE):
        some = asked.take(start, start + SAMPLED_AT_ONCE).astype(np.float64)
        parts = range(0, len(documents), worlds.BLOCK)
        blocks = [some @ documents.take(at, at + worlds.BLOCK).astype(np.float64).T for at in parts]
        for row, scores in enumerate(np.round(np.concatenate(blocks, axis=1), 6), start):
            limits = thresholds(scores[positives[row]].min(keepdims=True), spec.mine)
            scores[scores > min(limit[0] for limit in limits.values())] = -np.inf
            scores[positives[row]] = scores[shut[row]] = -np.inf
            best = np.flatnonzero(scores >= np.partition(scores, -NEGATIVES)[-NEGATIVES])
            best = best[np.argsort(-scores[best], kind="stable")][:NEGATIVES]
            best = best[np.isfinite(scores[best])]
            right, wanted = right + len(np.intersect1d(best, mined[row])), wanted + len(best)
    return {"recall": right / wanted, "dim": documents.dim}


def faiss_search(folder: Path) -> Figures:
    """Time FAISS's exact index on a block of a clustered world; multiply by the number of blocks."""
    import faiss

    queries, documents = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("query", "document"))
    asked, held = (
        np.ascontiguousarray(table[:size], np.float32)
        for table, size in zip((queries, documents), FAISS_BLOCK, strict=True)
    )
    index = faiss.IndexFlatIP(held.shape[1])
    index.add(held)
    started = time.perf_counter()
    index.search(asked, min(FAISS_DEPTH, len(held)))
    measured = time.perf_counter() - started
    blocks = len(queries) / len(asked) * len(documents) / len(held)
    block = {"queries": len(asked), "documents": len(held), "depth": FAISS_DEPTH, "seconds": measured}
    return {"measured": block, "extrapolated_seconds": measured * blocks}


def mine_million(folder: Path) -> Figures:
    """Mine in a large clustered world whose embeddings are in the cache. WIRE HERE what is to be timed."""
    return ours(folder)


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a new process, so that its memory is its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def world(name: str, rows: int | None, folder: Path, with_peer: bool = True) -> Path:
    """Make a world, unless it is there; a clustered one with its vectors in the caches."""
    found = folder / f"{name}-{rows or 'all'}"
    if not found.exists():
        apart(worlds.make, name, rows, found)
    if name in MADE:
        apart(worlds.fill, found, found / "ours", found / "peer" if with_peer else None)
    return found


def turns(
    sides: Sequence[Callable[[Path], Figures]], folder: Path, times: int, cold: bool
) -> list[list[Figures]]:
    """Let the sides take turns; give the figures of each side's runs."""
    runs: list[list[Figures]] = [[] for _ in sides]
    for _ in range(times):
        for side, kept in zip(sides, runs, strict=True):
            for name in ("peer",) if side is peer else ("run", "ours"):
                if cold or name == "run":
                    shutil.rmtree(folder / name, ignore_errors=True)
            os.sync()  # what the other has written is not left to this one to bring to the disk
            kept.append(apart(side, folder))
    return runs


def account(cold: list[Figures], warm: list[Figures], texts: int) -> Figures:
    """Take the medians of a side's runs."""

    def median(runs: list[Figures], value: Callable[[Figures], float]) -> float | None:
        return statistics.median(map(value, runs)) if runs else None

    encode = median(cold, lambda run: run["encode"])
    found: Figures = {
        "after_encoding": median(warm, lambda run: run["whole"] - run["ingest"] - run["load"]),
        "encode": encode,
        "encode_texts_per_second": texts / encode if encode else None,
        "end_to_end": median(cold, lambda run: run["whole"] - run["ingest"]),
        "end_to_end_with_ingest": median(cold, lambda run: run["whole"]),
    }
    either = warm or cold
    for key in ("ingest", "load", "search", "select", "format", "finish"):
        if key in either[0]:
            found[key] = median(either, lambda run, key=key: run[key])  # type: ignore[misc]
    found |= {
        "peak": median(warm, lambda run: run["peak"]),
        "peak_cold": median(cold, lambda run: run["peak"]),
    }
    return {**found, "found": either[-1]["found"]}


def compare(name: str, folder: Path, options: argparse.Namespace, with_peer: bool = True) -> Figures:
    """Measure both sides in a world."""
    sides = (ours, peer) if with_peer else (ours,)
    clustered = case(folder) == "clustered"
    if not (
        clustered
        or options.cold
        or options.lend
        or all((folder / kept).exists() for kept in ("ours", "peer"))
    ):
        raise SystemExit(f"{folder}: nothing is encoded yet; --cold 1 does it")
    lends = options.lend and with_peer and not clustered
    cold = turns((ours,) if lends else sides, folder, 0 if clustered else options.cold, cold=True)
    if lends:
        cold.append([])
        apart(lend, folder)
    warm = turns(sides, folder, options.repeat, cold=False)
    sizes = {key: (warm[0] or cold[0])[-1][key] for key in ("rows", "queries", "documents")}
    exact = apart(recall, folder, options.sample)
    case_of = {"case": name, **sizes, "dim": exact["dim"], "cpus": os.cpu_count()}
    case_of |= {"cold_runs": len(cold[0]), "warm_runs": len(warm[0])}
    texts = sizes["queries"] + sizes["documents"]
    figures = [account(*runs, texts) for runs in zip(cold, warm, strict=True)]
    line = {**case_of, **dict(zip(("minerkit", "peer"), figures, strict=False))}
    if with_peer:
        line["ratio"] = ratios(*figures)
    alone = (
        sizes["queries"]
        * sizes["documents"]
        * exact["dim"]
        / apart(products.multiplication_rate, exact["dim"])
    )
    line["products"] = {"seconds": alone, "share": alone / (figures[0]["search"] - figures[0]["load"])}
    return {**line, "recall": exact["recall"]}


def ratios(mine: Figures, theirs: Figures) -> Figures:
    """Say how many times the peer takes what minerkit takes."""
    keys = ("after_encoding", "end_to_end", "end_to_end_with_ingest", "peak", "peak_cold")
    found = {key: theirs[key] / mine[key] for key in keys if mine[key] and theirs[key]}
    if mine["encode"] and theirs["encode"]:
        found["encode_texts_per_second"] = theirs["encode"] / mine["encode"]
    return found


def extrapolated(lines: list[Figures]) -> Figures:
    """Fit how the peer's seconds and bytes grow, and give them for every size."""
    measured = [line for line in lines if "peer" in line]
    sizes = np.array([line["documents"] for line in measured], np.float64)
    seconds, peak = (np.array([line["peer"][key] for line in measured]) for key in ("after_encoding", "peak"))
    spent = np.linalg.lstsq(np.stack([sizes, sizes**2], axis=1), seconds)[0]
    held = np.linalg.lstsq(
        np.stack([np.ones_like(sizes), sizes * np.minimum(sizes, PEER_BLOCK)], axis=1), peak
    )[0]
    rows = [line["documents"] for line in lines]
    peer_of = [
        {"documents": n, "seconds": spent @ [n, n * n], "bytes": held @ [1, n * min(n, PEER_BLOCK)]}
        for n in map(float, rows)
    ]
    return {"case": "growth: the peer, extrapolated", "measured_up_to": max(sizes), "peer": peer_of}


def growth(options: argparse.Namespace, folder: Path) -> list[Figures]:
    """Measure both sides in clustered worlds of growing size, the peer as far as it is wanted."""
    lines = []
    for size in options.sizes:
        with_peer = size <= options.peer_rows
        found = world("clustered", size, folder, with_peer)
        lines.append(compare("growth", found, options, with_peer))
        show(lines[-1])
    if sum("peer" in line for line in lines) > 1:
        show(extrapolated(lines))
    return lines


def million(options: argparse.Namespace, folder: Path) -> list[Figures]:
    """Mine in a clustered world of a million queries and documents, beside FAISS's exact search."""
    found = world("clustered", options.rows or 1_000_000, folder, with_peer=False)
    [runs] = turns((mine_million,), found, options.repeat, cold=False)
    line = {"case": "million", **{key: runs[-1][key] for key in ("rows", "queries", "documents")}}
    line |= {"cpus": os.cpu_count(), "minerkit": account([], runs, 0), "faiss": apart(faiss_search, found)}
    line["ratio"] = {"search": line["faiss"]["extrapolated_seconds"] / line["minerkit"]["search"]}
    line |= apart(recall, found, options.sample)
    show(line)
    return [line]


def memory(options: argparse.Namespace, folder: Path) -> list[Figures]:
    """Mine for the same number of queries among more and more documents."""
    lines = []
    for size in CORPORA:
        found = world("corpus", size, folder, with_peer=False)
        [runs] = turns((functools.partial(ours, memory_gb=ALLOWED),), found, options.repeat, cold=False)
        line = {"case": "memory", **{key: runs[-1][key] for key in ("rows", "queries", "documents")}}
        lines.append({**line, "cpus": os.cpu_count(), "minerkit": account([], runs, 0)})
        show(lines[-1])
    first, last = (line["minerkit"]["peak"] for line in (lines[0], lines[-1]))
    show({"case": "memory: the peaks", "ratio": last / first})
    return lines


#: Cases that are more than both sides in one world.
OTHERS = {"growth": growth, "million": million, "memory": memory}


def show(line: Figures) -> None:
    """Print a line, with four digits a number."""

    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: short(kept) for key, kept in value.items() if kept is not None}
        if isinstance(value, list):
            return [short(kept) for kept in value]
        return float(f"{value:.5g}") if isinstance(value, float) else value

    print(json.dumps(short(line)), flush=True)


def table(lines: list[Figures]) -> str:
    """Lay the figures out for a reader."""
    columns = {
        "after enc. s": lambda side: side["after_encoding"],
        "end to end s": lambda side: side["end_to_end"],
        "encode s": lambda side: side["encode"],
        "ingest s": lambda side: side["ingest"],
        "peak GB": lambda side: (side["peak"] or side["peak_cold"]) / 1e9,
        "found %": lambda side: side["found"] * 100,
    }
    rows = [["case", "documents", "side", *columns]]
    for line in lines:
        for name in ("minerkit", "peer"):
            if name in line:
                values = [value(line[name]) for value in columns.values()]
                cells = ["" if value is None else f"{value:,.2f}" for value in values]
                rows.append([line["case"], f"{line['documents']:,}", name, *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at in (0, 2) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def main() -> None:
    """Run the cases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="+", choices=(*CASES, "all"))
    parser.add_argument("--rows", type=int, help="pairs of a world; default: all, 100,000 made, or a million")
    parser.add_argument(
        "--cold", type=int, default=3, help="runs that encode; 0 needs a --folder with earlier ones"
    )
    parser.add_argument("--repeat", type=int, default=3, help="runs that find the embeddings in the cache")
    parser.add_argument("--lend", action="store_true", help="lend minerkit's embeddings to the peer")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 30_000, 100_000, 300_000])
    parser.add_argument("--peer-rows", type=int, default=100_000, help="growth: the peer's largest size")
    parser.add_argument("--sample", type=int, default=500, help="queries whose recall is measured")
    parser.add_argument(
        "--folder", type=Path, help="where worlds and caches are kept, and taken up next time"
    )
    options = parser.parse_args()
    chosen = CASES if "all" in options.cases else options.cases
    lines: list[Figures] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.folder or Path(scratch)).resolve()
        for name in chosen:
            if name in OTHERS:
                lines += OTHERS[name](options, folder)
            else:
                lines.append(compare(name, world(name, options.rows, folder), options))
                show(lines[-1])
    print(table(lines), file=sys.stderr)


if __name__ == "__main__":
    main()
