"""The profile of a data set over all rows: lengths, distinct texts, scripts, values, documents per query."""

import re
from typing import Any

import numpy as np
import polars as pl

from minerkit.reports.stats.column_stats import Lengths, count_values

__all__ = ["length_quantiles", "profile", "quantiles", "text_profile"]

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
#: Up to so many distinct values are labels, listed with their shares; more have quantiles.
MAX_LABELS = 20
#: Number of characters at the start of a text that decide its script.
SCRIPT_CHARS = 100
#: Scripts that separate words are counted in words, the others in characters, so that one foreign name does
#: not outweigh the rest of a sentence.
WORDS = ("Latin", "Hangul", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari")
CHARACTERS = ("Han", "Hiragana", "Katakana", "Thai")
CLASSES = {name: rf"\p{{{name}}}" for name in (*WORDS, *CHARACTERS)}
LETTERS = {
    **{name: f"{CLASSES[name]}+" for name in WORDS},
    **{name: CLASSES[name] for name in CHARACTERS},
    "other": rf"[\p{{L}}--[{''.join(CLASSES.values())}]]+",
}


def profile(frame: pl.DataFrame | pl.LazyFrame, tokens: Lengths | None = None) -> dict[str, Any]:
    """Describe all rows of a data set, column by column and, for training rows, query by query.

    Args:
        frame: The data set; streamed column by column.
        tokens: Counts the tokens of texts, in addition to characters.

    Returns:
        A JSON-ready mapping: rows; columns (name -> type, nulls, and statistics that depend on the type);
        per_query, only for training rows (see `_query_documents`).
    """
    frame = frame.lazy()
    schema = frame.collect_schema()
    columns = {
        name: _column(frame.select(pl.col(name).alias("value")), dtype, tokens)
        for name, dtype in schema.items()
    }
    result = {"rows": int(frame.select(pl.len()).collect().item()), "columns": columns}
    documents = _query_documents(frame, schema)
    return result if documents is None else {**result, "per_query": _per_query(documents)}


def text_profile(texts: pl.DataFrame | pl.LazyFrame, tokens: Lengths | None = None) -> dict[str, Any]:
    """Describe a column of texts.

    Args:
        texts: A column `value`.
        tokens: Counts the tokens of texts, in addition to characters.

    Returns:
        distinct (number of different texts), characters and, with `tokens`, tokens (quantiles and mean),
        scripts (script -> share of the texts with letters; the main script of a text's start counts).
    """
    texts = texts.lazy().drop_nulls()
    value = pl.col("value")
    lengths = {"characters": value.str.len_chars()}
    if tokens is not None:
        lengths["tokens"] = value.map_batches(tokens, pl.Int64, is_elementwise=True)
    # One plan after the other: polars would hold a column that several plans share in memory.
    scripts = _scripts(texts).collect(engine="streaming")
    with_letters = max(1, int(scripts["rows"].sum()))
    return {
        "distinct": _distinct(texts),
        **{unit: length_quantiles(texts, length) for unit, length in lengths.items()},
        "scripts": {name: round(rows / with_letters, 6) for name, rows in scripts.rows()},
    }


def length_quantiles(texts: pl.LazyFrame, length: pl.Expr) -> dict[str, float]:
    """Compute the quantiles of text lengths.

    Args:
        texts: A column `value`.
        length: An expression for the length of `value`, an integer.

    Returns:
        The result of `quantiles`.
    """
    return quantiles(count_values(texts.drop_nulls().select(length)).collect(engine="streaming"))


def quantiles(counts: pl.DataFrame) -> dict[str, float]:
    """Compute the quantiles of counted values.

    Args:
        counts: value, rows; sorted by value.

    Returns:
        0%, 5%, 25%, 50%, 75%, 95%, 100% (the nearest values) and mean; empty without values.
    """
    counts = counts.drop_nulls().filter(pl.col("rows") > 0)
    if counts.is_empty():
        return {}
    values, rows = counts["value"].to_numpy(), counts["rows"].to_numpy().astype(np.int64)
    ends = np.cumsum(rows)
    positions = [int(share * (ends[-1] - 1) + 0.5) for share in QUANTILES]
    nearest = values[np.searchsorted(ends, positions, side="right")]
    by_share = {f"{share:.0%}": _json_number(value) for share, value in zip(QUANTILES, nearest, strict=True)}
    return {**by_share, "mean": _json_number(float(np.dot(values.astype(np.float64), rows) / ends[-1]))}


def _json_number(value: Any) -> float | int:
    return int(value) if isinstance(value, np.integer | int) else round(float(value), 4)


def _column(column: pl.LazyFrame, dtype: pl.DataType, tokens: Lengths | None) -> dict[str, Any]:
    value = pl.col("value")
    nulls = int(column.select(value.null_count()).collect(engine="streaming").item())
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return {
            "type": "string",
            "nulls": nulls,
            **text_profile(column.select(value.cast(pl.String)), tokens),
        }
    if isinstance(dtype, pl.List | pl.Array):
        lists = column.select(value.cast(pl.List(dtype.inner)))
        sizes = count_values(lists.select(value.list.len())).collect(engine="streaming")
        inner = text_profile(lists.explode("value"), tokens) if dtype.inner == pl.String else {}
        return {"type": "list", "nulls": nulls, "elements": quantiles(sizes), **inner}
    if dtype == pl.Boolean or dtype.is_numeric():
        type_name = "bool" if dtype == pl.Boolean else "int" if dtype.is_integer() else "float"
        numbers = column if type_name != "float" else column.select(value.cast(pl.Float64).fill_nan(None))
        counts = count_values(numbers).collect(engine="streaming").drop_nulls()
        if len(counts) > MAX_LABELS:
            return {"type": type_name, "nulls": nulls, "values": quantiles(counts)}
        total = int(counts["rows"].sum())
        shares = {str(label): round(rows / total, 6) for label, rows in counts.rows()}
        return {"type": type_name, "nulls": nulls, "shares": shares}
    return {"type": str(dtype).lower(), "nulls": nulls}


def _scripts(texts: pl.LazyFrame) -> pl.LazyFrame:
    """Count texts by the main script of their start, the most frequent script first."""
    value = pl.col("value")
    ascii_only = value.str.len_bytes() == value.str.len_chars()
    start = value.str.slice(0, SCRIPT_CHARS)
    amounts = pl.concat_list(start.str.count_matches(pattern) for pattern in LETTERS.values())
    names = pl.lit(pl.Series(list(LETTERS))).implode()
    latin = texts.filter(ascii_only, value.str.contains("[A-Za-z]"))
    ascii_scripts = latin.with_columns(script=pl.lit("Latin")).select("script")
    other_scripts = (
        texts.filter(~ascii_only)
        .select(amounts=amounts)
        .filter(pl.col("amounts").list.max() > 0)
        .select(script=names.list.get(pl.col("amounts").list.arg_max()))
    )
    counts = pl.concat([ascii_scripts, other_scripts]).group_by("script").agg(pl.len().alias("rows"))
    return counts.sort("rows", "script", descending=[True, False])


def _distinct(texts: pl.LazyFrame) -> int:
    """Count different texts by 64-bit hashes, which take eight bytes a row whatever the texts' length."""
    return int(texts.select(pl.col("value").hash()).collect(engine="streaming").to_series().n_unique())


def _query_documents(frame: pl.LazyFrame, schema: pl.Schema) -> pl.LazyFrame | None:
    """Read training rows as columns query, document (text hashes) and positive (bool).

    Training rows have exactly the columns a loss takes: a query and a document with `label` (positive from
    0.5 up); a query with a list of documents and their `labels`; or a query, a positive and any number of
    `negative` columns, with or without scores. Returns None for every other table.
    """
    texts = [name for name, dtype in schema.items() if dtype == pl.String]
    lists = [name for name, dtype in schema.items() if dtype == pl.List(pl.String)]
    rest = [name for name in schema if name not in (*texts, *lists)]
    if any(name.endswith("id") for name in texts) or not texts:
        return None
    query = _hash(texts[0]).alias("query")
    if (
        len(texts) == 2
        and rest == ["label"]
        and (schema["label"].is_numeric() or schema["label"] == pl.Boolean)
    ):
        positive = pl.col("label").cast(pl.Float64) >= 0.5
        return frame.select(query, _hash(texts[1]).alias("document"), positive.alias("positive"))
    if len(texts) == 1 and len(lists) == 1 and rest == ["labels"] and schema["labels"].is_nested():
        rows = frame.select(query, pl.col(lists[0]).alias("document"), pl.col("labels").alias("positive"))
        return rows.explode("document", "positive").select(
            "query", _hash("document"), pl.col("positive").cast(pl.Float64) >= 0.5
        )
    negatives = [re.fullmatch(r"negative(_\d+)?", name) for name in texts[2:]]
    if len(texts) >= 2 and not lists and set(rest) <= {"score", "scores"} and all(negatives):
        return pl.concat(
            frame.select(query, _hash(name).alias("document"), pl.lit(column == 0).alias("positive"))
            for column, name in enumerate(texts[1:])
        )
    return None


def _hash(name: str) -> pl.Expr:
    """Hash the texts of a column; nulls stay null."""
    return pl.when(pl.col(name).is_not_null()).then(pl.col(name).hash()).alias(name)


def _per_query(documents: pl.LazyFrame) -> dict[str, Any]:
    """Count distinct positives and negatives per query, and documents that are both for the same query."""
    labelled = documents.drop_nulls().collect(engine="streaming").unique()
    both = len(labelled) - labelled.select(pl.struct("query", "document").n_unique()).item()
    queries = labelled.group_by("query").agg(
        pl.col("positive").sum().alias("positives"), (~pl.col("positive")).sum().alias("negatives")
    )
    return {
        "queries": len(queries),
        "positives": quantiles(count_values(queries.lazy().select("positives")).collect()),
        "negatives": quantiles(count_values(queries.lazy().select("negatives")).collect()),
        "both": both,
    }
