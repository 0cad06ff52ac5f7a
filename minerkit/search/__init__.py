"""Search for the best documents of many queries: exact, or approximate with a measured recall."""

from minerkit.search.exact import Index, search_device
from minerkit.search.pair_scores import DECIMALS, exact_scores, pair_scores
from minerkit.search.request import Hits, Limits, Pairs, Request

__all__ = [
    "DECIMALS", "Hits", "Index", "Limits", "Pairs", "Request", "exact_scores", "pair_scores", "search_device",
]  # fmt: skip
