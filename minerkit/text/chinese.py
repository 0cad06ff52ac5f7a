"""Traditional and simplified Chinese characters as one, to compare texts."""

from functools import cache

import polars as pl

__all__ = ["to_simplified"]

#: CJK ideographs (Unicode 16): extension A, the basic block, extensions B to F with I, and G with H.
BLOCKS = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x20000, 0x2EE5F), (0x30000, 0x323AF))


def to_simplified(texts: pl.Series) -> pl.Series:
    """Write texts in simplified Chinese, character by character, for comparison only.

    Args:
        texts: n strings.

    Returns:
        The texts with each traditional character replaced by one simplified character, so that lengths stay;
        words are not (記憶體 becomes 记忆体, not 内存). Texts without Chinese characters stay as they are.
    """
    chinese = texts.str.contains(r"\p{Han}").fill_null(False).arg_true()
    if not len(chinese):
        return texts
    return texts.clone().scatter(chinese, texts.gather(chinese).str.replace_many(_characters()))


@cache
def _characters() -> dict[str, str]:
    """Ask OpenCC for the simplified form of every character on its own."""
    import opencc

    characters = [chr(code) for first, last in BLOCKS for code in range(first, last + 1)]
    forms = opencc.OpenCC("t2s").convert("\n".join(characters)).split("\n")
    changed = {old: new for old, new in zip(characters, forms, strict=True) if new != old and len(new) == 1}
    # A few forms have a simpler one themselves; all of them end at the same.
    return {old: changed.get(new, new) for old, new in changed.items()}
