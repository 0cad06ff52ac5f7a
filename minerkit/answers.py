"""stub"""

from typing import Any


def match_answers(*a: Any) -> Any:
    """stub"""
