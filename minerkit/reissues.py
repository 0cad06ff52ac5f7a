"""stub"""

from collections.abc import Sequence


def reissue_groups(texts: Sequence[str], threshold: float) -> list[int]:
    """stub"""
    return list(range(len(texts)))
