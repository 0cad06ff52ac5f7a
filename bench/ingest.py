"""Time the steps of `minerkit ingest` on a file of pairs and on a million generated rows like GooAQ's.

    python bench/ingest.py --pairs squad.jsonl.gz --query question --positive passage --rows 1000000

Prints one JSON line per step with its wall seconds, and one for the whole command, from starting Python to
the written files, with the peak of resident memory.

The generated rows resemble the text of the given file: fragments of it, joined at common words, and invented
words at a rate that keeps the number of distinct shingles growing as in real text (Heaps' law). One question
in fifty repeats another one, and so does one answer in fifty; half of these answers have a changed word.
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

#: Characters per text: average, minimum, maximum, standard deviation.
QUESTION, ANSWER = (44, 21, 96, 12), (252, 51, 405, 70)
#: Probability per word that a fragment ends, and that the word is replaced by an invented one.
JUMP, INVENTED = 0.25, 0.03
#: Number of invented words; the n-th has a frequency proportional to 1 / (n + 20).
INVENTED_WORDS = 2_000_000
#: Rows generated at once.
CHUNK = 50_000
#: Share of questions, and of answers, that repeat another one.
REPEATED = 0.02


def recipe(file: Path, query: str, positive: str) -> Recipe:
    """Build a recipe that reads one file and holds out 1,000 queries, like the gooaq recipe."""
    source = {"path": str(file), "query": query, "positive": positive}
    return Recipe.model_validate({"name": "bench", "source": source, "split": {"dev_queries": 1000}})


class TextGenerator:
    """Generates texts that resemble given texts."""

    def __init__(self, texts: pl.Series, seed: int) -> None:
        """Split the texts into words, and invent words from their prefixes and suffixes."""
        self.rng = np.random.default_rng(seed)
        words = texts.str.split(" ").explode().drop_nulls()
        words = words.filter(words.str.len_chars().is_between(1, 20))
        vocabulary = words.unique(maintain_order=True)
        ids = pl.DataFrame({"word": words}).join(
            pl.DataFrame({"word": vocabulary}).with_row_index("id"), on="word", maintain_order="left"
        )
        self.token_ids = ids["id"].to_numpy().astype(np.int64)  # all texts, as one sequence
        self.occurrences = np.argsort(self.token_ids, kind="stable")  # positions, sorted by word
        self.offsets = np.searchsorted(self.token_ids[self.occurrences], np.arange(len(vocabulary)))
        self.counts = np.bincount(self.token_ids, minlength=len(vocabulary))
        long = vocabulary.filter(vocabulary.str.contains("^[A-Za-z]{5,}$"))
        sources = [self.rng.integers(0, len(long), INVENTED_WORDS) for _ in range(2)]
        sizes = [pl.Series(self.rng.integers(2, 5, INVENTED_WORDS)) for _ in range(2)]
        prefixes = long.gather(sources[0]).str.head(sizes[0])
        suffixes = long.gather(sources[1]).str.tail(sizes[1])
        self.vocabulary = pl.concat([vocabulary, prefixes + suffixes])
        self.word_lengths = self.vocabulary.str.len_chars().to_numpy().astype(np.int64)

    def texts(self, count: int, size: tuple[int, int, int, int]) -> pl.Series:
        """Generate texts; `size` is the average, minimum and maximum length and its standard deviation."""
        average, minimum, maximum, deviation = size
        columns = maximum // 5
        word_ids = np.empty((count, columns), np.int64)
        position = self.rng.integers(0, len(self.token_ids), count)
        for column in range(columns):
            word = word_ids[:, column] = self.token_ids[position]
            jump = self.rng.random(count) < JUMP
            target = self.offsets[word] + (self.rng.random(count) * self.counts[word]).astype(np.int64)
            position = (np.where(jump, self.occurrences[target], position) + 1) % len(self.token_ids)
        invented = np.flatnonzero(self.rng.random(word_ids.size) < INVENTED)
        rank = 20 * ((INVENTED_WORDS / 20 + 1) ** self.rng.random(len(invented)) - 1)
        word_ids.reshape(-1)[invented] = len(self.vocabulary) - INVENTED_WORDS + rank.astype(np.int64)
        lengths = self.word_lengths[word_ids] + 1
        limits = np.clip(self.rng.normal(average, deviation, count), minimum, maximum) - 3
        within_limit = np.cumsum(lengths, axis=1) - lengths < limits[:, None]
        words = self.vocabulary.gather(word_ids.reshape(-1)).to_frame("word")
        words = words.select(pl.when(pl.Series(within_limit.reshape(-1))).then("word")).to_series()
        return words.reshape((count, columns)).arr.join(" ", ignore_nulls=True)


def generate_rows(generator: TextGenerator, count: int) -> Iterator[pl.DataFrame]:
    """Generate rows with GooAQ's columns, in chunks."""
    rng = generator.rng
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        answer = generator.texts(size, ANSWER)
        question = generator.texts(size, QUESTION).str.to_lowercase() + "?"
        draws, sources = rng.random((2, size)), rng.integers(0, size, (2, size))
        answer = answer.gather(np.where(draws[0] < REPEATED, sources[0], np.arange(size)))
        answer = answer.zip_with(pl.Series(draws[0] > REPEATED / 2), answer.str.replace(" the ", " this "))
        question = question.gather(np.where(draws[1] < REPEATED, sources[1], np.arange(size)))
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


def write_generated(spec: Recipe, count: int, file: Path) -> None:
    """Write generated rows that resemble the source of a recipe, as JSON lines."""
    pairs = pl.concat(batch.entries for batch in read(spec.source))
    texts = pl.concat([pairs["query"], pairs["document"].unique(maintain_order=True)])
    generator = TextGenerator(texts, spec.split.seed)
    with atomic_write(file) as stream:
        for chunk in generate_rows(generator, count):
            chunk.write_ndjson(stream)


class Stopwatch(Reporter):
    """Records the seconds of each step, and shows nothing."""

    def __init__(self) -> None:
        """Start without steps."""
        super().__init__(quiet=True)
        self.seconds: dict[str, float] = {}

    @contextmanager
    def bar(self, description: str, total: int | None = None) -> Iterator[Callable[[int], object]]:
        """Time a step."""
        started = time.perf_counter()
        with super().bar(description, total) as advance:
            yield advance
        self.seconds[description] = time.perf_counter() - started


def time_ingest(name: str, spec: Recipe, started: float) -> None:
    """Ingest and print the figures; called in a new process, which has its own memory peak."""
    watch = Stopwatch()
    imported = time.time()
    with tempfile.TemporaryDirectory() as folder:
        run = pipeline.ingest(spec, Path(folder) / "run", watch)
        ended = time.time()
        counts = {table: len(run.read(f"{table}.parquet")) for table in ("queries", "corpus")}
    watch.seconds = {"Starting Python": imported - started, **watch.seconds}
    watch.seconds["Everything else"] = ended - started - sum(watch.seconds.values())
    for step, seconds in watch.seconds.items():
        print(json.dumps({"input": name, "step": step, "seconds": round(seconds, 2)}))
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # kilobytes, but bytes on macOS
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    total = {"seconds": round(ended - started, 2), "cpu_seconds": round(time.process_time(), 2)}
    total |= {"peak_mb": round(peak), **counts}
    print(json.dumps({"input": name, "step": "all", **total}), flush=True)


def main() -> None:
    """Time ingest on a file and on generated rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=Path, required=True, help="a file of pairs in any format")
    parser.add_argument("--query", default="question")
    parser.add_argument("--positive", default="passage")
    parser.add_argument("--rows", type=int, default=1_000_000, help="number of generated rows; 0: none")
    parser.add_argument("--folder", type=Path, help="keeps the generated rows for the next time")
    options = parser.parse_args()
    corpora = {options.pairs.name: recipe(options.pairs, options.query, options.positive)}
    spawn = multiprocessing.get_context("spawn")

    def run_in_process(function: Callable[..., None], *args: object) -> None:
        process = spawn.Process(target=function, args=args)
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(process.exitcode)

    with tempfile.TemporaryDirectory() as scratch:
        if options.rows:
            generated = (options.folder or Path(scratch)) / f"generated-{options.rows}.jsonl"
            if not generated.exists():
                generated.parent.mkdir(parents=True, exist_ok=True)
                run_in_process(write_generated, corpora[options.pairs.name], options.rows, generated)
            corpora[generated.name] = recipe(generated, "question", "answer")
        for name, spec in corpora.items():
            run_in_process(time_ingest, name, spec, time.time())


if __name__ == "__main__":
    main()
