"""Sentences of the cards that are true of some runs only: each is there when it is so."""

from collections.abc import Iterator, Mapping
from typing import Any

from minerkit.recipe import Recipe

__all__ = [
    "about_negatives",
    "has_negatives",
    "judged_negatives",
    "origin",
    "qrels_words",
    "remains",
    "rows_words",
    "safeguards",
    "some_lack_negatives",
]

Stats = Mapping[str, Any]
LOWEST = "the query's lowest-scoring positive"


def has_negatives(recipe: Recipe, stats: Stats) -> bool:
    """Check whether the training rows hold negatives.

    Args:
        recipe: The resolved recipe.
        stats: The run's stats.json.

    Returns:
        False for pairs, which hold positives only, and where no document was eligible.
    """
    return recipe.format.type != "pair" and bool(_sum(stats, "negatives"))


def judged_negatives(stats: Stats) -> int:
    """Count the negatives that people judged irrelevant; no rule has to guess it of them.

    Args:
        stats: The run's stats.json.

    Returns:
        Their number, over all splits.
    """
    sources = stats["histograms"]["sources"]
    return sum(row["negatives"] for row in sources if row["source"] == "judged")


def some_lack_negatives(stats: Stats) -> bool:
    """Check whether there are queries without a negative, those that were dropped left out.

    Args:
        stats: The run's stats.json.

    Returns:
        Whether the least number of a query's negatives is 0, in any split.
    """
    return any(not found["negatives"].get("0%", 1) for found in stats["per_query"].values())


def about_negatives(recipe: Recipe, stats: Stats) -> Iterator[str]:
    """Describe what is not as one would expect of hard negatives.

    Args:
        recipe: The resolved recipe.
        stats: The run's stats.json.

    Yields:
        Sentences.
    """
    negatives, judged, filling = _sum(stats, "negatives"), judged_negatives(stats), _sum(stats, "backfilled")
    if negatives and recipe.format.type == "pair":
        yield f"The rows hold no negatives: the {negatives:,} that were mined are not part of the data set."
    elif not negatives:
        yield "There are no negatives: no document was eligible."
    else:
        if judged:
            yield f"{judged:,} of the negatives are documents that people judged irrelevant."
        if filling:
            yield f"{filling:,} of the negatives are easier documents that fill gaps."
        if short := _sum(stats, "short_queries"):
            yield f"Queries with fewer negatives than wanted: {short:,}."
    if dropped := stats["yield"]["dropped_queries"]:
        yield f"Queries that were dropped, and have no rows: {dropped:,}."


def safeguards(recipe: Recipe, judged: int) -> Iterator[str]:
    """Describe what kept false negatives out.

    Args:
        recipe: The resolved recipe.
        judged: How many negatives people judged irrelevant.

    Yields:
        Sentences.
    """
    yield "A query's positives are never its negatives, in whatever spelling; nor is the query's own text."
    if recipe.clean.near_duplicate is not None:
        yield (
            "Near-duplicates of a positive are shut out too: texts whose five-character shingles have a "
            f"Jaccard similarity of {recipe.clean.near_duplicate:g} or more."
        )
    if recipe.excludes_group:
        yield "Documents of the query's own group are never its negatives."
    if recipe.source.min_relevance > 1:
        yield (
            f"A document that is graded above 0 and below {recipe.source.min_relevance} is neither a "
            "positive nor a negative."
        )
    bounds = list(_bounds(recipe))
    for bound in bounds:
        yield f"A negative{' that people have not judged' if judged else ''} scores {bound}."
    if judged and bounds:
        yield "Documents that people judged irrelevant are negatives whatever they score."
    if recipe.mine.range_min:
        yield f"The {recipe.mine.range_min:,} best-ranked of the documents left are skipped."


def remains(recipe: Recipe, stats: Stats) -> Iterator[str]:
    """Describe what may still be wrong with the negatives.

    Args:
        recipe: The resolved recipe.
        stats: The run's stats.json.

    Yields:
        Sentences; none where the rows hold no negatives.
    """
    negatives, judged = _sum(stats, "negatives"), judged_negatives(stats)
    if not has_negatives(recipe, stats):
        return
    if judged == negatives:
        yield "All negatives were judged irrelevant by people."
        return
    others = f"but for the {judged:,} that people judged irrelevant, " if judged else ""
    yield f"What remains: {others}nobody has read the negatives."
    below = ", and that the encoder scores below the rules' bounds," if list(_bounds(recipe)) else ""
    yield f"A document that answers a query in other words{below} can be among them."
    gap = stats["scores"]["gap"]
    if gap:
        whose = "the queries that have negatives" if some_lack_negatives(stats) else "the queries"
        twentieth = f", for a twentieth it {_near(gap['5%'])}" if gap["50%"] >= 0 else ""
        yield (
            f"For half of {whose} the hardest negative {_near(gap['50%'])}{twentieth}: there it pays to look "
            "first."
        )


def rows_words(recipe: Recipe, stats: Stats) -> str:
    """Describe what the training rows are.

    Args:
        recipe: The resolved recipe.
        stats: The run's stats.json.

    Returns:
        One sentence or more, from a small letter on.
    """
    shape, scored = recipe.format.type, recipe.format.scores
    least = min((found["negatives"].get("0%", 0) for found in stats["per_query"].values()), default=0)
    given = [name for name in stats["train"]["columns"] if name.startswith("negative_")]
    width = recipe.mine.negatives or len(given)
    words = {
        "pair": "each query with each of its positives.",
        "triplet": "each positive of a query with each of the query's negatives.",
        "n-tuple": f"each positive of a query with the query's {width} negatives, hardest first.",
        "labeled-pair": "each query with its positives (label 1), then with its negatives (label 0).",
        "labeled-list": "each positive of a query, then all of the query's negatives, with their labels.",
    }[shape]
    if scored:
        plain = {
            "labeled-pair": "each query with its positives, then with its negatives.",
            "labeled-list": "each positive of a query, then all of the query's negatives.",
        }
        words = plain.get(shape, words)
        words += f" The encoder's scores stand {'in place of labels' if shape in plain else 'beside them'}."
    if shape == "n-tuple" and least < width:
        words += " Queries with fewer have no row."
    if shape in {"triplet", "labeled-list"} and not least:
        words += " Queries without any have no row."
    return words


def qrels_words(recipe: Recipe) -> str:
    """Describe what the relevance of documents to queries is.

    Args:
        recipe: The resolved recipe.

    Returns:
        A sentence, from a small letter on.
    """
    source = recipe.source
    if source.format == "documents":
        return "1 for each passage that was found for the query."
    if source.format == "captions":
        return "1 for each pair of captions of one item."
    if source.format in {"auto", "pairs"} and source.relevance is None:
        return "1 for each pair of a query and a positive."
    return "the relevance of documents to queries, as the source has it."


def origin(recipe: Recipe, rows: Stats, encoder: str) -> str:
    """Describe where the negatives of the train rows come from.

    Args:
        recipe: The resolved recipe.
        rows: What `split_statistics` gives for the train split, with the number of negatives that people
            `judged` irrelevant.
        encoder: What the encoder is to be called.

    Returns:
        Sentences.
    """
    if not rows["negatives"] or recipe.format.type == "pair":
        return "The rows hold no negatives."
    score = "cosine similarity" if recipe.encoder.normalize else "dot product"
    people = "documents that people judged irrelevant, and " if rows["judged"] else ""
    drawn = "" if recipe.mine.strategy == "top" else "drawn from "
    filled = f", {rows['backfilled']:,} of which fill gaps" if rows["backfilled"] else ""
    return (
        f"Negatives are {people}{drawn}the documents that the encoder `{encoder}` scores highest for a query "
        f"({score}), under these rules. {' '.join(safeguards(recipe, rows['judged']))} That gives "
        f"{rows['positives']:,} positives and {rows['negatives']:,} negatives{filled}: "
        f"{rows['positive_share']:.1%} are positive."
    )


def _bounds(recipe: Recipe) -> Iterator[str]:
    """Describe which scores a negative may have."""
    mine = recipe.mine
    if mine.relative_margin:
        yield f"at least {100 * mine.relative_margin:g}% below {LOWEST}"
    if mine.absolute_margin:
        yield f"at least {mine.absolute_margin:g} below {LOWEST}"
    if 0 in (mine.relative_margin, mine.absolute_margin):
        yield f"no higher than {LOWEST}"
    if mine.max_score is not None:
        yield f"at most {mine.max_score:g}"


def _near(gap: float) -> str:
    if gap < 0:
        return "scores higher than the lowest positive"
    return f"comes within {gap:.4f} of the lowest positive"


def _sum(stats: Stats, count: str) -> int:
    return sum(split[count] for split in stats["splits"].values())
