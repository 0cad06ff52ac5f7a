"""One run of the command line in small parts, which notes in a file what it makes."""

import os
import resource
import signal
import sys
from pathlib import Path

NOTES = Path(os.environ["MINERKIT_TEST_NOTES"])


def note(line: str) -> None:
    with NOTES.open("a") as stream:
        stream.write(f"{line}\n")


def small_parts() -> None:
    """Make parts so small that a run of some seconds has many."""
    from minerkit.embeddings import cache
    from minerkit.embeddings.encoders.lsa import LsaEncoder
    from minerkit.pipeline import shards as query_shards
    from minerkit.storage import shards, stage

    query_shards.LEAST = query_shards.MOST = 100
    cache.SHARD = 200
    stored, resumed, encode = shards._store, shards.resume_shards, LsaEncoder.encode

    def noted_store(folder, number, frames):
        stored(folder, number, frames)
        note(f"stored {folder.name} {number}")

    def noted_resumed(folder, key, count, make, *where):
        def made(number):
            note(f"made {folder.name} {number}")
            return make(number)

        return resumed(folder, key, count, made, *where)

    def noted_encode(self, texts, *rest):
        note(f"encoded {len(texts)}")
        return encode(self, texts, *rest)

    shards._store, stage.resume_shards, LsaEncoder.encode = noted_store, noted_resumed, noted_encode


def main() -> None:
    if limit := os.environ.get("MINERKIT_TEST_FILE_SIZE"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    small_parts()
    from minerkit.cli import main as command

    note("started")
    command()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
