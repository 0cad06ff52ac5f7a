"""Search for the best documents of many queries: exact, or approximate with a measured recall."""

from minerkit.search.decimals import DECIMALS, exact_scores
from minerkit.search.dot_products import pair_scores
from minerkit.search.exact import Index
from minerkit.search.request import Hits, Limits, Pairs, Request

__all__ = [
    "DECIMALS", "Hits", "Index", "Limits", "Pairs", "Request", "exact_scores", "pair_scores",
]  # fmt: skip
