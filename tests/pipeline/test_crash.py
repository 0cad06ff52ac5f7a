"""Runs that are killed, damaged or short of disk end, with the same command, as one that was left alone."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PAIRS, DEV, SHARD, ENCODED = 2000, 150, 100, 200  # the last two as in support/crash_run.py
KILLS, ROUNDS = 30, 6


class Place:
    """A run folder, a cache and notes of what was made, with a command that works on them."""

    def __init__(self, folder: Path, pairs: Path, name: str = "run", cache: str = "cache") -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.run, self.cache = folder, folder / name, folder / cache
        self.notes = folder / f"{name}.notes"
        self.command = [
            sys.executable, str(Path(__file__).parents[1] / "support" / "crash_run.py"),
            "mine", "--recipe", "gooaq",
            "--input", str(pairs), "--out", name, "--device", "cpu", "--json",
            "--set", "encoder.model=lsa", "--set", "encoder.truncate_dim=32",
            "--set", f"split.dev_queries={DEV}", "--set", "source.query=q", "--set", "source.positive=a",
            "--set", "clean.near_duplicate=null",
        ]  # fmt: skip

    def start(self, **environment: str) -> subprocess.Popen[str]:
        places = {"MINERKIT_CACHE": str(self.cache), "MINERKIT_TEST_NOTES": str(self.notes)}
        return subprocess.Popen(
            self.command,
            cwd=self.folder,
            env={**os.environ, "NO_COLOR": "1", **places, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, **environment: str) -> str:
        """Run to the end; give what was said on stderr."""
        process = self.start(**environment)
        _, said = process.communicate(timeout=600)
        assert process.returncode == 0, said
        return said

    def fails(self, **environment: str) -> str:
        """Run into a fault; give the one line it is told in."""
        process = self.start(**environment)
        out, said = process.communicate(timeout=600)
        last = said.splitlines()[-1]
        assert process.returncode == 1 and out == "", said
        assert "Traceback" not in said and last.startswith("minerkit: "), said
        assert said.count("minerkit: ") == 1
        return last

    def made(self) -> Counter[str]:
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return Counter(line for line in lines if line)

    def texts_encoded(self) -> int:
        return sum(int(line.split()[1]) * count for line, count in self.made().items() if "encoded" in line)

    def results(self) -> dict[str, str]:
        """Hash what a run leaves to its user; of the manifest, all but how long things took."""
        found = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.run.iterdir())
            if path.is_file() and path.name != "manifest.json"
        }
        manifest = json.loads((self.run / "manifest.json").read_text())
        del manifest["seconds"]
        return {**found, "manifest.json": json.dumps(manifest)}

    def files(self) -> Iterator[Path]:
        """Find all files that hold work."""
        for folder in (self.run, self.cache):
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.name.startswith(".") and "lock" not in path.name:
                    yield path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    """Questions and answers of made-up words that share some of them."""
    rng = random.Random(12)
    words = ["".join(rng.choices("abcdefghijklmnoprstuvw", k=rng.randint(3, 8))) for _ in range(900)]
    rows = []
    for _ in range(PAIRS):
        about = rng.choices(words, k=6)
        question = " ".join(rng.sample(about, 4) + rng.choices(words, k=2))
        rows.append({"q": question, "a": " ".join(about + rng.choices(words, k=8)) + "."})
    file = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(scope="module")
def whole(pairs, tmp_path_factory) -> tuple[Place, float]:
    """A run that was left alone, and the seconds that it took."""
    place = Place(tmp_path_factory.mktemp("whole"), pairs)
    started = time.monotonic()
    place.finish()
    return place, time.monotonic() - started


def test_a_run_left_alone_makes_each_piece_and_embedding_once(whole):
    place, _ = whole
    made = place.made()
    shards = [line for line in made if line.startswith("made candidates")]
    assert len(shards) == -(-(PAIRS - DEV) // SHARD) + -(-DEV // SHARD)
    assert max(count for line, count in made.items() if "encoded" not in line) == 1
    assert place.texts_encoded() == 2 * PAIRS


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_run_killed_at_random_ends_as_one_left_alone(whole, pairs, tmp_path, seed):
    left_alone, seconds = whole
    rng = random.Random(seed)
    kills, places = Counter(), [Place(tmp_path / "0", pairs)]
    while kills.total() < KILLS // ROUNDS:
        process = places[-1].start()
        try:
            process.wait(rng.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            kills[places[-1]] += 1
        else:  # it came to its end before it was to be killed: go on with another run
            places.append(Place(tmp_path / str(len(places)), pairs))
        process.communicate()
    for place in places:
        place.finish()
        assert place.results() == left_alone.results()
        check_what_was_repeated(place, left_alone, kills[place])


def check_what_was_repeated(place: Place, left_alone: Place, kills: int) -> None:
    """A piece that was stored is never made again, and a kill costs at most what was being made."""
    made = place.made()
    shards = {line for line in left_alone.made() if line.startswith("stored")}
    stored = {line: count for line, count in made.items() if line.startswith("stored")}
    assert stored.keys() <= shards
    assert len(stored) >= len(shards) - kills  # a kill can fall between a shard's marker and its note
    assert max(stored.values()) == 1
    assert sum(count for line, count in made.items() if line.startswith("made")) <= len(shards) + kills
    assert place.texts_encoded() <= left_alone.texts_encoded() + kills * ENCODED
    assert not list(place.folder.rglob(".*.part"))
    assert not list(place.run.rglob("staged/*")) and not (place.run / ".stages/shards/search").exists()


def harm(path: Path, rng: random.Random) -> None:
    """Cut a file short, or turn one of its bits."""
    content = bytearray(path.read_bytes())
    place = rng.randrange(len(content))
    if rng.random() < 0.5:
        path.write_bytes(content[:place])
    else:
        content[place] ^= 1 << rng.randrange(8)
        path.write_bytes(content)


@pytest.mark.parametrize("seed", range(5))
def test_a_damaged_artefact_or_embedding_is_found_and_mended(whole, tmp_path, seed):
    left_alone, _ = whole
    shutil.copytree(left_alone.folder, tmp_path, dirs_exist_ok=True)
    place = Place(tmp_path, Path(left_alone.command[left_alone.command.index("--input") + 1]))
    rng = random.Random(seed)
    artefacts = [path for path in place.files() if path.suffix == ".parquet" and path.parent == place.run]
    harm(rng.choice(artefacts), rng)
    cached = [path for path in place.files() if place.cache in path.parents]
    harm(rng.choice(cached), rng)
    # The embeddings are only read where the search is done again.
    harm(place.run / "candidates.parquet", rng)
    place.finish()
    assert place.results() == left_alone.results()


@pytest.mark.parametrize("seed", range(5))
def test_a_damaged_piece_is_found_and_made_again(whole, pairs, tmp_path, seed):
    place, (left_alone, _) = Place(tmp_path, pairs), whole
    rng = random.Random(seed)
    process = place.start()
    while not (place.made()["stored candidates 8"] or process.poll() is not None):
        time.sleep(0.02)
    process.kill()
    process.communicate()
    shards = [path for path in place.files() if "shards" in path.parts and path.parent.name == "candidates"]
    stored = sum(1 for line in place.made() if line.startswith("stored candidates"))
    assert stored >= 7 and not (place.run / ".stages/search.json").exists()
    harm(rng.choice([path for path in shards if path.stem[:6].isdigit() and int(path.stem[:6]) < 8]), rng)
    place.finish()
    assert place.results() == left_alone.results()
    again = [line for line, count in place.made().items() if line.startswith("stored") and count > 1]
    assert len(again) == 1


@pytest.mark.parametrize("size", [4_000, 20_000, 60_000, 150_000])
def test_a_full_disk_is_one_clear_line_and_costs_nothing_that_is_done(whole, pairs, tmp_path, size):
    place, (left_alone, _) = Place(tmp_path, pairs), whole
    said = place.fails(MINERKIT_TEST_FILE_SIZE=str(size))
    assert "free some space" in said and "run the same command" in said
    assert not (place.run / "manifest.json").exists()
    place.finish()
    assert place.results() == left_alone.results()


def test_a_second_process_on_one_run_says_so(whole, pairs, tmp_path):
    place, (left_alone, _) = Place(tmp_path, pairs), whole
    first = place.start()
    while not (place.run / "queries.parquet").exists() and first.poll() is None:
        time.sleep(0.02)
    assert "another minerkit is at work on this run" in place.fails()
    _, said = first.communicate(timeout=600)
    assert first.returncode == 0, said
    assert place.results() == left_alone.results()


def test_two_processes_with_one_cache_do_not_disturb_each_other(whole, pairs, tmp_path):
    left_alone, _ = whole
    places = [Place(tmp_path, pairs, name) for name in ("one", "two")]
    processes = [place.start() for place in places]
    for process in processes:
        _, said = process.communicate(timeout=600)
        assert process.returncode == 0, said
    for place in places:
        assert place.results() == left_alone.results()
    # Each text is encoded by the one or the other.
    assert sum(place.texts_encoded() for place in places) == 2 * PAIRS
