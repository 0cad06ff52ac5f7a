"""Separate text from boilerplate: navigation, notices, rows of numbers, lists of links."""

import re
from collections.abc import Callable

from minerkit.text import CLOSED, is_fragment

__all__ = ["fragmentary", "furniture", "unread"]

#: Lines longer than this are text whatever words they hold; and navigation is no whole sentence.
NOTICE_CHARS = 80
NAVIGATION = re.compile(
    r"返回(顶部|頂部|首页|首頁)|回到(顶部|頂部)|上一[篇页頁章]|下一[篇页頁章]|(点击|點擊)查看|"
    r"(阅读|閱讀)(全文|更多)|查看更多|(相关|相關)(阅读|閱讀)|(站点|网站|網站)地[图圖]|扫码关注|扫描二维码|"
    r"分享到|欢迎.{0,6}(分享|关注|转发|收藏)|[隐隱]私政策|[联聯][系繫]我[们們]|"
    r"[您你](的|当前|目前)?(位置|在这里|在這裡|所在)|(当前|目前)位置|"
    r"back to top|read more|privacy policy|cookies?\b|sign in|log in|subscribe",
    re.IGNORECASE,
)
#: What points to a part of the page is navigation in whole sentences, too.
MENU = re.compile(
    r"[左右顶頂上][侧側部方边邊]的?(菜单|選單|[导導]航|目[录錄])|"
    r"\b(left|right|top)([- ](hand|side))* (menu|sidebar|navigation|nav)\b",
    re.IGNORECASE,
)
COPYRIGHT = re.compile(
    r"版[权權](所有|声明|聲明)|保留所有[权權]利|[转轉][载載][请請]|未[经經].{0,12}([许許]可|授[权權])|"
    r"all rights reserved|copyright\b|©",
    re.IGNORECASE,
)
DISCLAIMER = re.compile(
    r"免[责責][声聲]明|不[构構]成.{0,8}建[议議]|[仅僅]供.{0,6}[参參]考|投[资資]有[风風][险險]|据此操作|股市有风险|"
    r"not (constitute )?(investment|financial) advice|disclaimer",
    re.IGNORECASE,
)
IMPRINT = re.compile(
    r"((主要)?(数据|信息|资料|數據|資訊|資料)?[来來]源|作者|([责責]任)?[编編][辑輯]|分析[师師]|维护者|(文档)?版本|"
    r"(更新|发布|發布|生成|分析|撰写|创建)([时時][间間]|日期)|([报報]告)?日期|最后更新|"
    r"source|authors?|editors?|date|updated|version)\s*[:：]",
    re.IGNORECASE,
)
URL = re.compile(r"(?:https?://|www\.)\S+|[\w.+-]{1,64}@[\w-]{1,64}\.\w+|[~.]?/[\w.-]+/[\w./-]+")
REFERENCE = re.compile(r"\[\d{1,3}\]\s*\S")
LEADERS = re.compile(r"(?:\.{4,}|…{2,}|·{4,}|(?:\. ){4,})\s*\d{1,4}\s*$")
CELLS = re.compile(r"\||\t| {3,}")
EMOJI = re.compile(r"[^\w\s，。、：:（）().\-]+")
#: Sections that list sources and links instead of telling something.
LISTS = re.compile(
    r"[\d.、\s]*(附[录錄]\s*[:：]?\s*)?([参參]考(文[献獻]|[资資]料|[来來]源|链接)?|引用|致谢|目[录錄]|"
    r"(主要)?([数數][据據]|[资資]料|信息|数据及信息)[来來]源|(延伸|扩展|相[关關])(文[档件章]|链接|連結|[阅閱][读讀]|资源)|"
    r"免[责責][声聲]明|版[权權][声聲]明|更新(日志|记录)|"
    r"references|further reading|see also|links|sources|disclaimer|acknowledge?ments|changelog)\s*[:：]?",
    re.IGNORECASE,
)
MOST_FRAGMENTS = 0.5
#: Shares of the characters that are not blank: for lines, and for whole sentences.
LEAST_LETTERS, MOST_DIGITS = (0.5, 0.4), (0.35, 0.5)
MOST_LINKED = 0.5


def furniture(text: str) -> str:
    """Explain why a paragraph is no text worth keeping.

    Args:
        text: A paragraph.

    Returns:
        The reason, or "" where the paragraph is text.
    """
    return next((reason for reason, holds in RULES.items() if holds(text)), "")


def unread(heading: str) -> bool:
    """Check whether a section only lists sources, links or notices.

    Args:
        heading: The heading right above the section.

    Returns:
        True where no paragraph of the section is text.
    """
    return LISTS.fullmatch(EMOJI.sub("", heading).strip()) is not None


def fragmentary(text: str) -> bool:
    """Check whether a passage is a list of labels and names and not of statements.

    Args:
        text: A passage, one line for each paragraph or list item.

    Returns:
        True where it has several lines and most of it is short ones that no mark closes.
    """
    lines = text.splitlines()
    fragments = sum(len(line) for line in lines if is_fragment(line))
    return len(lines) > 1 and fragments > MOST_FRAGMENTS * len(text)


def _letters(text: str) -> bool:
    solid = "".join(text.split())
    return sum(map(str.isalpha, solid)) < LEAST_LETTERS[bool(CLOSED.search(text))] * len(solid)


def _digits(text: str) -> bool:
    solid = "".join(text.split())
    return sum(map(str.isdigit, solid)) > MOST_DIGITS[bool(CLOSED.search(text))] * len(solid)


def _links(text: str) -> bool:
    return sum(len(match) for match in URL.findall(text)) > MOST_LINKED * len(text)


def _notice(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: len(text) <= NOTICE_CHARS and pattern.search(text) is not None


#: Reason -> rule; the first that holds names the reason.
RULES: dict[str, Callable[[str], bool]] = {
    "links": _links,
    "reference": lambda text: REFERENCE.match(text) is not None,
    "table of contents": lambda text: LEADERS.search(text) is not None,
    "table row": lambda text: len(CELLS.findall(text)) >= 2,
    "mostly digits": _digits,
    "too few letters": _letters,
    "navigation": lambda text: _notice(MENU)(text) or (_notice(NAVIGATION)(text) and not CLOSED.search(text)),
    "copyright notice": _notice(COPYRIGHT),
    "disclaimer": _notice(DISCLAIMER),
    "imprint": lambda text: len(text) <= NOTICE_CHARS and IMPRINT.match(text) is not None,
}
