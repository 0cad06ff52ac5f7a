"""Time `minerkit ingest`, step by step, on a file of pairs and on a million made rows of GooAQ's shape.

    python bench/ingest.py --pairs squad.jsonl.gz --query question --positive passage --rows 1000000

Prints a JSON line a step, with its wall seconds; and one for the whole, from starting Python to the written
files, with the peak of resident memory. The made rows are text like that of the given file, but new: pieces
of it that meet at a common word, and made-up words, so many that new shingles keep coming as they do in real
text (Heaps' law). One question in fifty repeats another one, and so does one answer; half of these answers
have a word changed.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from minerkit.pipeline import commands as pipeline
from minerkit.recipe import Recipe
from minerkit.runtime import Reporter
from minerkit.sources import read
from minerkit.storage import atomic_write

#: Characters a text has on average, at least and at most, and their standard deviation.
QUESTION, ANSWER = (44, 21, 96, 12), (252, 51, 405, 70)
#: How often a fragment ends, and how often a word is made up.
TURN, RARE = 0.25, 0.03
#: Made-up words there are; the n-th is as frequent as 1 / (n + 20).
MADE_UP = 2_000_000
#: Rows made at once.
PART = 50_000
#: The share of questions, and of answers, that repeat another one.
REPEATED = 0.02


def recipe(file: Path, query: str, positive: str) -> Recipe:
    """Make a recipe that reads one file and holds out 1,000 queries, as the gooaq recipe does."""
    source = {"path": str(file), "query": query, "positive": positive}
    return Recipe.model_validate({"name": "bench", "source": source, "split": {"dev_queries": 1000}})


class Words:
    """Makes new text from given text."""

    def __init__(self, texts: pl.Series, seed: int) -> None:
        """Cut the texts into words, and make words up from their beginnings and ends."""
        self.draw = np.random.default_rng(seed)
        words = texts.str.split(" ").explode().drop_nulls()
        words = words.filter(words.str.len_chars().is_between(1, 20))
        names = words.unique(maintain_order=True)
        ids = pl.DataFrame({"w": words}).join(
            pl.DataFrame({"w": names}).with_row_index("id"), on="w", maintain_order="left"
        )
        self.flow = ids["id"].to_numpy().astype(np.int64)  # the texts, as word numbers
        self.places = np.argsort(self.flow, kind="stable")  # where each word stands, word by word
        self.first = np.searchsorted(self.flow[self.places], np.arange(len(names)))
        self.often = np.bincount(self.flow, minlength=len(names))
        long = names.filter(names.str.contains("^[A-Za-z]{5,}$"))
        pick = [self.draw.integers(0, len(long), MADE_UP) for _ in range(2)]
        cut = [pl.Series(self.draw.integers(2, 5, MADE_UP)) for _ in range(2)]
        made = long.gather(pick[0]).str.head(cut[0]) + long.gather(pick[1]).str.tail(cut[1])
        self.names = pl.concat([names, made])
        self.lengths = self.names.str.len_chars().to_numpy().astype(np.int64)

    def texts(self, count: int, size: tuple[int, int, int, int]) -> pl.Series:
        """Make texts, given the average, smallest and largest length and its deviation."""
        average, least, most, deviation = size
        columns = most // 5
        grid = np.empty((count, columns), np.int64)
        at = self.draw.integers(0, len(self.flow), count)
        for column in range(columns):
            word = grid[:, column] = self.flow[at]
            turn = self.draw.random(count) < TURN
            other = self.first[word] + (self.draw.random(count) * self.often[word]).astype(np.int64)
            at = (np.where(turn, self.places[other], at) + 1) % len(self.flow)
        rare = np.flatnonzero(self.draw.random(grid.size) < RARE)
        rank = 20 * ((MADE_UP / 20 + 1) ** self.draw.random(len(rare)) - 1)
        grid.reshape(-1)[rare] = len(self.names) - MADE_UP + rank.astype(np.int64)
        lengths = self.lengths[grid] + 1
        wanted = np.clip(self.draw.normal(average, deviation, count), least, most) - 3
        inside = np.cumsum(lengths, axis=1) - lengths < wanted[:, None]
        words = self.names.gather(grid.reshape(-1)).to_frame("word")
        shown = words.select(pl.when(pl.Series(inside.reshape(-1))).then("word")).to_series()
        return shown.reshape((count, columns)).arr.join(" ", ignore_nulls=True)


def rows(words: Words, count: int) -> Iterator[pl.DataFrame]:
    """Make rows of GooAQ's columns, part by part."""
    for start in range(0, count, PART):
        size = min(PART, count - start)
        answer, question = words.texts(size, ANSWER), words.texts(size, QUESTION).str.to_lowercase() + "?"
        again, others = words.draw.random((2, size)), words.draw.integers(0, size, (2, size))
        answer = answer.gather(np.where(again[0] < REPEATED, others[0], np.arange(size)))
        answer = answer.zip_with(pl.Series(again[0] > REPEATED / 2), answer.str.replace(" the ", " this "))
        question = question.gather(np.where(again[1] < REPEATED, others[1], np.arange(size)))
        yield pl.DataFrame(
            {"id": pl.int_range(start, start + size, eager=True), "question": question}
        ).select(
            "id",
            "question",
            pl.lit(None, pl.String).alias("short_answer"),
            answer.alias("answer"),
            pl.lit("feat_snip").alias("answer_type"),
            pl.format("https://example.org/{}", "id").alias("answer_url"),
        )


def write(spec: Recipe, count: int, file: Path) -> None:
    """Write made rows as JSON lines, text like that which a recipe reads."""
    pairs = pl.concat(batch.entries for batch in read(spec.source))
    words = Words(pl.concat([pairs["query"], pairs["document"].unique(maintain_order=True)]), spec.split.seed)
    with atomic_write(file) as stream:
        for part in rows(words, count):
            part.write_ndjson(stream)


class Stopwatch(Reporter):
    """Keeps the seconds of each step instead of showing them."""

    def __init__(self) -> None:
        """Start with no steps."""
        super().__init__(quiet=True)
        self.seconds: dict[str, float] = {}

    @contextmanager
    def bar(self, description: str, total: int | None = None) -> Iterator[Callable[[int], object]]:
        """Time a step."""
        started = time.perf_counter()
        with super().bar(description, total) as advance:
            yield advance
        self.seconds[description] = time.perf_counter() - started


def timed(name: str, spec: Recipe, started: float) -> None:
    """Ingest, and print what it took; in a process of its own, for the peak of its memory."""
    watch = Stopwatch()
    loaded = time.time()
    with tempfile.TemporaryDirectory() as folder:
        run = pipeline.ingest(spec, Path(folder) / "run", watch)
        done = time.time()
        counts = {table: len(run.read(f"{table}.parquet")) for table in ("queries", "corpus")}
    watch.seconds = {"Starting Python": loaded - started, **watch.seconds}
    watch.seconds["Everything else"] = done - started - sum(watch.seconds.values())
    for step, seconds in watch.seconds.items():
        print(json.dumps({"input": name, "step": step, "seconds": round(seconds, 2)}))
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # kilobytes, but bytes on macOS
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    whole = {"seconds": round(done - started, 2), "cpu_seconds": round(time.process_time(), 2)}
    whole |= {"peak_mb": round(peak), **counts}
    print(json.dumps({"input": name, "step": "all", **whole}), flush=True)


def main() -> None:
    """Time ingest on a file and on made rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=Path, required=True, help="a file of pairs in any format")
    parser.add_argument("--query", default="question")
    parser.add_argument("--positive", default="passage")
    parser.add_argument("--rows", type=int, default=1_000_000, help="how many to make; 0: none")
    parser.add_argument("--folder", type=Path, help="where the made rows are kept, and taken from next time")
    given = parser.parse_args()
    corpora = {given.pairs.name: recipe(given.pairs, given.query, given.positive)}
    spawn = multiprocessing.get_context("spawn")

    def apart(function: Callable[..., None], *args: object) -> None:
        process = spawn.Process(target=function, args=args)
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(process.exitcode)

    with tempfile.TemporaryDirectory() as scratch:
        if given.rows:
            made = (given.folder or Path(scratch)) / f"made-{given.rows}.jsonl"
            if not made.exists():
                made.parent.mkdir(parents=True, exist_ok=True)
                apart(write, corpora[given.pairs.name], given.rows, made)
            corpora[made.name] = recipe(made, "question", "answer")
        for name, spec in corpora.items():
            apart(timed, name, spec, time.time())


if __name__ == "__main__":
    main()
