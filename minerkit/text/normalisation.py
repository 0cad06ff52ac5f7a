"""What makes two texts the same: the normalised text, the match key, and shingles.

Identity is never an id. Three notions, from strict to loose:

* normalised text: NFKC, white space collapsed; equal here means one document or one query
* match key: also lower case, in simplified Chinese characters and without closing punctuation; equal here
  means a positive may not be another query's negative, and the texts stay in one split
* Jaccard similarity of the five-character shingles: near-duplicates (`minerkit.text.near_duplicates`)
"""

from collections.abc import Callable

import polars as pl

from minerkit.text.chinese import to_simplified

__all__ = ["match_key", "match_keys", "normalise", "normalise_text", "trim_text"]

#: White space as the Unicode standard has it, and the characters that are blank without being space.
BLANK = r"\s\u{200b}\u{2060}\u{feff}\u{00ad}"
#: Characters that NFKC keeps wherever they stand (quick check yes, combining class 0: Unicode Standard Annex
#: 15, section 9): printable ASCII; most Latin, Greek and Cyrillic letters; dashes and quotation marks;
#: Chinese, Japanese and Korean. There are more, but most texts are of these.
KEPT = (
    r" -~\u{c0}-\u{131}\u{391}-\u{3a1}\u{3a3}-\u{3c9}\u{400}-\u{45f}\u{2013}-\u{2016}\u{2018}-\u{2022}"
    r"\u{3001}-\u{3029}\u{3041}-\u{3094}\u{30a1}-\u{30fa}\u{4e00}-\u{9fff}\u{ac00}-\u{d7a3}"
)
#: What a text has that normalising may change.
IRREGULAR = rf"[^{KEPT}]|^ |  | $"
#: What closes a sentence in Latin and CJK text, normalised; a question with and without its mark is the same.
CLOSING = " .?!。"


def normalise_text(text: pl.Expr) -> pl.Expr:
    """Return the expression for the normalised text, which is the identity of a text.

    Args:
        text: A string expression.

    Returns:
        NFKC (Unicode Standard Annex 15) with white space collapsed to single blanks and trimmed.
    """
    return text.map_batches(_normalised, return_dtype=pl.String, is_elementwise=True)


def trim_text(text: pl.Expr) -> pl.Expr:
    """Return the expression for the text as it is stored: the user's own, trimmed.

    Args:
        text: A string expression.

    Returns:
        The text without surrounding white space; a text that is empty when normalised becomes null.
    """
    return pl.when(text.str.contains(rf"[^{BLANK}]")).then(text.str.strip_chars())


def match_key(text: pl.Expr) -> pl.Expr:
    """Return the expression for the key under which spelling variants of one text are equal.

    Args:
        text: A string expression.

    Returns:
        The normalised text in lower case, with traditional Chinese characters simplified and without closing
        punctuation; where nothing else is left, with it.
    """
    return text.map_batches(match_keys, return_dtype=pl.String, is_elementwise=True)


def _normalised(texts: pl.Series) -> pl.Series:
    """Normalise the texts that need it; most do not, and to see that takes a tenth of the time."""
    return _change_where(texts, texts.str.contains(IRREGULAR), _rewrite)


def match_keys(texts: pl.Series) -> pl.Series:
    """Compute the match keys of texts: what `match_key` gives, for a series."""
    # Normalised again, since a letter and its accents may compose in lower case only, as in J and caron.
    irregular = texts.str.contains(IRREGULAR)
    plain = _change_where(texts, irregular, lambda part: _rewrite(_rewrite(part).str.to_lowercase()))
    upper = plain.str.contains(r"\p{Changes_When_Lowercased}")
    lower = _change_where(plain, upper, lambda part: part.str.to_lowercase())
    folded = _change_where(lower, lower.str.len_bytes() > lower.str.len_chars(), to_simplified)
    return _change_where(folded, folded.str.contains(rf"[{CLOSING}]$"), _without_closing)


def _without_closing(texts: pl.Series) -> pl.Series:
    stripped = texts.str.strip_chars_end(CLOSING)
    return stripped.zip_with(stripped.str.len_bytes() > 0, texts)


def _rewrite(texts: pl.Series) -> pl.Series:
    """Normalise texts, one and all."""
    # A blank by itself is the most frequent white space by far; it need not be replaced.
    blanks = rf"[{BLANK}]{{2,}}|[[{BLANK}]--[ ]]"
    return texts.str.normalize("NFKC").str.replace_all(blanks, " ").str.strip_chars(" ")


def _change_where(texts: pl.Series, which: pl.Series, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Change some texts; the others are neither copied nor looked at."""
    places = which.fill_null(False).arg_true()
    return texts.clone().scatter(places, change(texts.gather(places))) if len(places) else texts


def normalise(text: str) -> str:
    """Normalise one text.

    Args:
        text: Any string.

    Returns:
        Its normalised form, as `normalised` gives it.
    """
    return str(pl.select(normalise_text(pl.lit(text, dtype=pl.String))).item())
