"""Make queries of the headings above passages: what one would type to find the section."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

__all__ = ["heading_queries", "heading_query"]

#: What makes a number before a blank a measure: 28 nm, 12 英寸; and a count: 3 个.
UNIT = r"%|[nuμ]?m\b|bit|inch|[GMT]B|[GM]Hz|英寸|[吋寸]"
COUNTED = r"[年月个個种種家层層倍款]"
#: What numbers a heading: 3.2, 第二章, （一）, 二、, Part 2, and 1 Overview.
NUMBER = re.compile(
    r"^(?:(?:第\s?[一二三四五六七八九十百零〇\d]+\s?(?:部分|[章节節篇编編讲講课課])"
    r"|(?:part|chapter|section|appendix)\s+(?:\d+|[ivx]+|[a-z])\b"
    r"|[（(][一二三四五六七八九十\d]{1,3}[）)]|[一二三四五六七八九十]{1,3}\s?[、.．]|附[录錄]\s?[A-Z\d]?\s?[：:]"
    r"|\d{1,2}(?:[.．]\d{1,2})*[.．、)）](?!\d)"
    rf"|\d{{1,2}}(?:[.．]\d{{1,2}})+(?=\s)(?!\s+(?:{UNIT}))"
    rf"|\d{{1,2}}(?=\s)(?!\s+(?:{UNIT}|{COUNTED})))[\s、：:.．\-—–]*)+",
    re.IGNORECASE,
)
#: Emoji and dingbats, and the digits on keys.
SIGNS = re.compile(
    "\\d\ufe0f?\u20e3|[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u25a0-\u25ff\ufe0f\u200d]"
)
#: Brackets that set a title off: 【...】, or [...] at its beginning.
FRAME = re.compile(r"^\[([^\[\]]+)\]|【([^【】]*)】")
#: Dates of issues, and versions in brackets.
DATE = re.compile(
    r"(?<!\d)20\d\d(?:[-./](?:0?[1-9]|1[0-2])[-./][0-3]?\d|(?:0[1-9]|1[0-2])[0-3]\d|年\d{1,2}月\d{1,2}日)(?!\d)\s*期?"
)
VERSION = re.compile(r"[（(][^（）()]*(?:[vV]\d|完整版|最终版|修订版|更新|[续續])[^（）()]*[)）]\d*")
#: What a title says of the report and not of its subject.
REPORT = re.compile(
    r"\s*(?:公司|企业|企業)?(?:深度|详细|詳細|综合|綜合|全面|专题|專題|历年|歷年|年度|季度)*"
    r"(?:分析|研究|调研|調研|评估|評估|调查|調查|发现|發現|跟踪|跟蹤|整合)*(?:报告|報告|研报|研報|简报|簡報)$"
    r"|\s+(?:in-depth\s+|company\s+|market\s+|research\s+|analysis\s+)*report$",
    re.IGNORECASE,
)
#: Headings made of such words alone say nothing without the ones above them.
CHINESE = (
    "核心|主要|关键|關鍵|重要|基本|总体|總體|整体|整體|公司|产品|產品|市场|市場|行业|行業|业务|"
    "業務|投资|投資|技术|技術|学习|學習|个性化|個性化|近期|最新|未来|未來|相关|相關|其他|其它|"
    "战略|戰略|策略|竞争|競爭|发展|發展|应用|應用|财务|財務|目录|目錄|"
    "概述|概况|概況|概要|概览|概覽|简介|簡介|介绍|介紹|背景|前言|引言|绪论|緒論|序言|执行摘要|執行摘要|摘要|总结|總結|小结|小結|结论|"
    "結論|结语|結語|要点|要點|观点|觀點|说明|說明|附录|附錄|补充|補充|特点|特點|优势|優勢|亮点|"
    "亮點|分析|评估|評估|建议|建議|趋势|趨勢|展望|因素|进展|進展|发现|發現|洞察|观察|觀察|问题|"
    "問題|思考|时间|時間|目标|目標|注意|事项|事項|原理|定义|定義|现状|現狀|数据|數據|提示|提醒|"
    "机遇|機遇|挑战|挑戰|风险|風險|示例|实例|举例|参考|參考|内容|內容|情况|情況|细节|細節|详情|"
    "詳情|实现|實現|使用|方法|启示|啟示|逻辑|邏輯|理由|价值|價值|验证|驗證|"
    "今日|本周|当前|當前|状态|狀態|更新|频率|任务|任務|写在前面|与|與|和|及|的"
)
ENGLISH = (
    "contents|table|overview|introduction|background|summary|executive|abstract|conclusions?|discussion|results?|"
    "methods?|recent|latest|developments?|updates?|details?|notes?|features?|performance|other|"
    "miscellaneous|appendix|faqs?|tl;?dr|examples?|preface|usage|key|takeaways?|main|points?|"
    "findings?|risks?|outlook|future|work|motivation|references?|acknowledge?ments?|about|more|"
    "further|and|of|the|bug|fixes"
)
EMPTY = re.compile(rf"(?:{CHINESE})+\d?|(?:(?:{ENGLISH})\W*)+", re.IGNORECASE)
#: Columns (a Chinese character takes two) beyond which a heading, or a query, is too long to be typed.
LONGEST = 100
#: Reports from which a heading that stands alone is any report's.
COMMON = 3


def heading_queries(sections: Iterable[tuple[Sequence[str], str]]) -> dict[tuple[str, ...], str]:
    """Make a query of each section's headings.

    Args:
        sections: The headings above each section, from the report's title down; and the report's group.

    Returns:
        Headings to query, "" where they say nothing. Where two sections would have one query, each gets all
        of its headings; a single heading that three reports have says nothing.
    """
    groups: dict[tuple[str, ...], set[str]] = {}
    paths = {}
    for headings, group in sections:
        path = paths[tuple(headings)] = _bare_path(headings)
        groups.setdefault(path, set()).add(group)
    short = {path: _short(path) for path in groups}
    shared = Counter(short.values())
    found = {}
    for headings, path in paths.items():
        whole = " ".join(path)
        query = whole if shared[short[path]] > 1 and _columns(whole) <= LONGEST else short[path]
        common = len(path) == 1 and len(groups[path]) >= COMMON
        found[headings] = "" if common or not short[path] else query
    return found


def heading_query(headings: Sequence[str]) -> str:
    """Make a query of the headings above a passage.

    Args:
        headings: From the report's title down.

    Returns:
        The title's subject, the nearest heading below it that says something, and the last heading, without
        their numbers, emoji and dates, in one line; "" where none of them says anything by itself.
    """
    return _short(_bare_path(headings))


def _short(path: Sequence[str]) -> str:
    telling = [text for text in path if not EMPTY.fullmatch(text)]
    if not telling:
        return ""
    title, last = telling[0], path[-1]
    nearest = [text for text in telling if text != last][-1:]
    for chosen in ([title, *nearest, last], [title, last], [*nearest, last], [last]):
        query = " ".join(dict.fromkeys(chosen))
        if _columns(query) <= LONGEST and not EMPTY.fullmatch(query):
            return query
    return ""


def _bare_path(headings: Sequence[str]) -> tuple[str, ...]:
    """Return the headings without what one would not type, and without those that others repeat."""
    said: dict[str, str] = {}
    for text in map(_bare, headings):
        if sum(map(str.isalpha, text)) > 1 and _columns(text) <= LONGEST:
            said.setdefault(text.lower().rstrip("!！?？。."), text)
    return tuple(
        text for key, text in said.items() if not any(_says(other, key) for other in said if other != key)
    )


def _bare(heading: str) -> str:
    text = FRAME.sub(r"\1\2 ", SIGNS.sub(" ", heading).strip())
    text = NUMBER.sub("", " ".join(DATE.sub(" ", VERSION.sub(" ", text)).split()))
    return REPORT.sub("", text).strip(" \t:：-—–·|,，;；")


def _says(text: str, part: str) -> bool:
    """Check whether a heading holds another, as words and not as parts of words; both in lower case."""
    return re.search(rf"(?<![a-z0-9]){re.escape(part)}(?![a-z0-9])", text) is not None


def _columns(text: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)
