"""Detect the encoding of a text file."""

import codecs
import re

__all__ = ["decoded"]

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
#: Frequent characters of simplified and traditional Chinese. They make up a fifth and more of Chinese text;
#: Korean, Japanese or Big5 bytes that happen to decode as GB18030 hold next to none of them.
FREQUENT = frozenset(
    "的一是不了在人有我他这中大来上国和地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然"
    "家种事成方多经去法学如都同现当没动面起看定天分还进好小部其些主样理心本前开但因只从想实日军者意无力它与长"
    "把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或"
    "这为業個對於與為會發後過從還進時來國學開關點間問應動實當現經種將兩長無產機們說，。、"
)
#: The share of frequent characters, and of Chinese ones among the letters, from which text counts as Chinese.
FREQUENT_SHARE, CHINESE_SHARE = 0.12, 0.3
DECLARED = re.compile(rb"""<meta[^>]{0,80}charset=["']?([A-Za-z0-9_-]{2,20})""", re.IGNORECASE)
#: What pages declare is often the older, smaller set of the same family.
WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252", "big5": "big5hkscs"}


def decoded(data: bytes, html: bool = False) -> tuple[str, str] | None:
    """Decode a file's bytes.

    Args:
        data: The bytes.
        html: Whether the file may declare its encoding in a `<meta>` tag.

    Returns:
        The text, and the encoding where it is not UTF-8 or else ""; None where the encoding is unknown.
    """
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            text = _tried(data, encoding)
            return None if text is None else (text, "" if encoding == "utf-8-sig" else encoding)
    text = _tried(data, "utf-8")
    if text is not None and "\0" not in text:
        return text, ""
    declared = DECLARED.search(data[:4096]) if html else None
    if declared:
        name = declared[1].decode().lower()
        encoding = WIDER.get(name, name)
        text = _tried(data, encoding)
        if text is not None:
            return text, encoding
    text = _tried(data, "gb18030")
    return (text, "gb18030") if text is not None and _chinese(text) else None


def _tried(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _chinese(text: str) -> bool:
    letters = [character for character in text if character.isalpha()]
    chinese = sum("\u4e00" <= character <= "\u9fff" for character in letters)
    frequent = sum(character in FREQUENT for character in text)
    return chinese > 0 and chinese >= CHINESE_SHARE * len(letters) and frequent >= FREQUENT_SHARE * chinese
