"""Measure how fast Chinese text is segmented into words by rjieba and by jieba, on one thread.

    python bench/words.py REPORTS [--rounds 5]

REPORTS is a folder of text files. Prints one JSON line per library: the characters, the words, and characters
per second (median of the rounds, CPU time) of `minerkit.text.words.tokenize` on whole texts and of the
segmentation alone.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from minerkit.text import words as module


def speed(function: Callable[[str], list[str]], texts: Sequence[str], rounds: int) -> tuple[int, float]:
    """Return the number of words and the characters per second."""
    characters, seconds, words = sum(map(len, texts)), [], 0
    for _ in range(rounds):
        start = time.process_time()
        words = sum(len(function(text)) for text in texts)
        seconds.append(time.process_time() - start)
    return words, characters / statistics.median(seconds)


def main() -> None:
    """Print one JSON line per library."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    files = sorted(path for path in args.reports.rglob("*") if path.is_file())
    texts = [path.read_bytes().decode("utf-8", "ignore") for path in files]
    runs = [run for text in texts for run in module.TOKEN.findall(text.lower()) if "一" <= run < "\u9fd6"]
    chosen = module._cutter
    for name, cut in (("rjieba", chosen()), ("jieba", module._jieba())):
        module._cutter = lambda cut=cut: cut  # what `words` cuts with
        count, whole = speed(module.tokenize, texts, args.rounds)
        _, alone = speed(cut, runs, args.rounds)
        row = {"library": name, "chars": sum(map(len, texts)), "chinese_chars": sum(map(len, runs))}
        row |= {"words": count, "chars_per_s": round(whole), "cut_chars_per_s": round(alone)}
        print(json.dumps(row))


if __name__ == "__main__":
    main()
