"""Kill mining at random points, go on with the same, and measure what that costs.

    python -m bench.kills --cold 15 --warm 15 --folder worlds

The world is squad of bench/worlds.py. A run is left alone, from encoding to the card; another one is killed
(SIGKILL) --cold times on its way, most of which is encoding. Then --warm runs find the embeddings in the
cache, and each is killed once, in what is left: reading, searching, writing. A run that was killed ends with
the same bytes as the one that was left alone, or the last line counts it as different.

Repeated by a kill are the seconds from the last marker that was written (a shard of embeddings, a shard of
the search, a stage) to the kill; where the process has written none, from when it had loaded the model, else
from its start. resumed are the seconds that killed runs took beyond those left alone, a kill: what was
repeated, starting Python, loading the model, reading and verifying what is there. Both are given as shares of
the run that was left alone, too.

A JSON line a kill, with the stage it fell in (encode: all that comes before the first shard of the search);
the last line sums up.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import speed
from minerkit.pipeline import MINING
from minerkit.pipeline import commands as pipeline
from minerkit.runtime import Advance, Reporter

#: What is written when something is done for good, in the run and in the cache; and by the reporter below.
MARKERS = ("loaded", "run/.stages/*.json", "run/.stages/shards/*/*/[0-9]*.json", "cache/embeddings/*/*.shard")
HERE = Path(__file__).resolve().parents[1]
#: What the manifest of equal runs differs in.
TIMED = "seconds"

Figures = dict[str, Any]
#: A kill: the stage that it fell in, and the seconds that are repeated.
Kill = dict[str, Any]


class Marking(Reporter):
    """Touches a file when the model is loaded, instead of showing anything."""

    @contextmanager
    def bar(self, description: str, total: int | None = None) -> Iterator[Advance]:
        """Let a step run."""
        yield lambda count, note="": None
        if description == "Loading the encoder":
            Path("loaded").touch()


def mine(world: str) -> None:
    """Mine, in the process that is killed."""
    pipeline.mine(speed.recipe(Path(world)), Path("run"), "cpu", Marking(quiet=True))


class Mining:
    """A folder with a run and a cache, and the command that works on them."""

    def __init__(self, folder: Path, world: Path, cache: Path | None = None) -> None:
        """Make the folder anew; its cache is empty, or that of another run."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder, self.started = folder, 0.0
        #: Seconds of all its processes.
        self.seconds = 0.0
        if cache is not None:
            (folder / "cache").symlink_to(cache, target_is_directory=True)
        self.command = [sys.executable, "-c", f"from bench.kills import mine; mine({str(world)!r})"]

    def live(self, limit: float | None) -> bool:
        """Run the command to its end, or kill it after some seconds; say whether it came to its end."""
        self.started = time.time()
        process = subprocess.Popen(
            self.command,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(HERE), "MINERKIT_CACHE": str(self.folder / "cache")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            _, said = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        self.seconds += time.time() - self.started
        if process.returncode > 0:
            raise SystemExit(said.decode())
        return process.returncode == 0

    def killed(self, limit: float) -> Kill | None:
        """Kill the command after some seconds; say where that was and what is repeated, None if it ended."""
        before = self.seconds
        if self.live(limit):
            return None
        died = self.started + self.seconds - before
        kept = [path.stat().st_mtime for name in MARKERS for path in self.folder.glob(name)]
        return {"stage": self.stage(), "repeated_seconds": died - max([self.started, *kept])}

    def stage(self) -> str:
        """Name what was at work when the command was killed."""
        markers = self.folder / "run/.stages"
        stage = next(
            (stage.name for stage in MINING if not (markers / f"{stage.name}.json").exists()), "manifest"
        )
        return "encode" if stage == "search" and not (markers / "shards/search").exists() else stage

    def results(self) -> dict[str, str]:
        """Hash every file of the run; of the manifest, all but how long things took."""
        files = [path for path in sorted((self.folder / "run").iterdir()) if path.is_file()]
        found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        manifest = json.loads((self.folder / "run/manifest.json").read_text())
        return {**found, "manifest.json": json.dumps({**manifest, TIMED: None}, sort_keys=True)}


def cold(folder: Path, world: Path, points: list[float], startup: float) -> tuple[Mining, list[Kill]]:
    """Kill a run that encodes whenever it should have come to one of the points; then let it end."""
    mining, kills = Mining(folder, world), []
    for earlier, later in zip([0.0, *points], points, strict=False):
        kill = mining.killed(startup + later - earlier)
        if kill is None:
            break
        kills.append(kill)
    mining.live(None)
    return mining, kills


def warm(folder: Path, world: Path, cache: Path, seconds: float, draw: random.Random) -> tuple[Mining, Kill]:
    """Kill a run that finds its embeddings within some seconds; then let it end."""
    while True:
        mining = Mining(folder, world, cache)
        kill = mining.killed(draw.uniform(0, seconds))
        if kill is not None:
            mining.live(None)
            return mining, kill


def measure(world: Path, place: Path, options: argparse.Namespace) -> Figures:
    """Kill runs; print a line a kill, and give the sum."""
    alone = Mining(place / "alone", world)
    alone.live(None)
    whole, cache, wanted = alone.seconds, place / "alone/cache", alone.results()
    alone.live(None)
    startup = alone.seconds - whole  # all was done before
    found = Mining(place / "found", world, cache)
    found.live(None)
    draw, kills, beyond, different = random.Random(options.seed), [], 0.0, int(found.results() != wanted)

    def take(mining: Mining, made: list[Kill], left_alone: float) -> None:
        nonlocal beyond, different
        for kill in made:
            kills.append({**kill, "share": kill["repeated_seconds"] / whole})
            speed.show(kills[-1])
        beyond += mining.seconds - left_alone
        different += mining.results() != wanted

    points = sorted(draw.uniform(0, whole) for _ in range(options.cold))
    take(*cold(place / "cold", world, points, startup), whole)
    for _ in range(options.warm):
        mining, kill = warm(place / "warm", world, cache, found.seconds, draw)
        take(mining, [kill], found.seconds)
    shares = [kill["share"] for kill in kills]
    return {
        "kills": len(kills),
        "stages": Counter(kill["stage"] for kill in kills),
        "different": different,
        "left_alone": {"seconds": whole, "embeddings_found": found.seconds, "all_done": startup},
        "repeated": {"mean": statistics.mean(shares), "most": max(shares)},
        "resumed": {"seconds": beyond / len(kills), "share": beyond / len(kills) / whole},
    }


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cold", type=int, default=15, help="kills of a run that encodes")
    parser.add_argument("--warm", type=int, default=15, help="kills of runs that find the embeddings")
    parser.add_argument("--rows", type=int, help="pairs; default: all")
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--folder", type=Path, help="where the world is kept, and taken up next time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch).resolve()
        world = speed.world("squad", options.rows, (options.folder or place).resolve())
        speed.show(measure(world, place, options))


if __name__ == "__main__":
    main()
