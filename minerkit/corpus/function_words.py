"""Find questions without content of their own, such as "What does the text say?"."""

import polars as pl

from minerkit.text import normalise_text, tokenize

__all__ = ["FUNCTION_WORDS", "function_word_share"]


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Grammatical words, and words that only point at the text or at the act of asking. English contractions
#: stand here as their parts (isn't: isn, t). No other letter or digit does: "What is C?" has content.
ENGLISH = _listed(
    """
    a about above according across after again against all along already also although always am among an
    and another answer answered answers any anybody anyone anything are aren around article articles as ask
    asked asking asks at author authors based be because been before behind being below beneath beside
    besides between beyond both brief briefly but by can cannot chapter contain contained contains content
    contents context contexts could couldn d describe described describes describing description despite
    details did didn discuss discussed discusses do document documents does doesn doing done during each
    either else essay even ever everybody everyone everything except excerpt explain explained explaining
    explains few following for formulate from generate generated gist give given gives giving had hadn has
    hasn have having he hence her here hers herself him himself his how however i idea ideas if in
    information inside instead into is isn it its itself just key least less like ll m main mainly many may
    me mean meaning means mention mentioned mentions might more most much must my near neither never no
    nobody none nor not nothing now of off often on one ones only onto or other others ought our ours out
    outside over own paragraph paragraphs passage passages per please point points pose propose provide
    provided provides providing question questions quite raise rather re read reading really refer referred
    refers report respond s said same say saying says section sections sentence sentences several shall she
    should shouldn since snippet so some somebody someone something stated statement statements still story
    subject such summarise summarised summarises summarising summarize summarized summarizes summarizing
    summary t talk talked talking talks tell telling tells text texts than that the their theirs them theme
    themselves then there therefore these they this those though through throughout thus till title to too
    topic topics toward towards under unless until up upon us using ve very via was wasn we were weren what
    whatever when where whereas whether which whichever while who whoever whom whose why will with within
    without word words would wouldn write writer written yes yet you your yours
    """
)
CHINESE = _listed(
    """
    一下 一个 一些 一切 一句 一句话 一定 一文 一段 一点 一直 一种 一篇 一般 一部分 一项 上 上下文 上文 上述
    上述情况 上面 下 下列 下文 下述 下面 不 不是 不能 不要 与 且 个 中 中心思想 为 为什么 为何 主旨 主要
    主要内容 主题 举例 之 之中 之前 之后 之间 也 也许 了 了解 于 些 什么 仅 仅仅 介绍 从 他 他们 以 以上
    以下 以内 以前 以及 以后 以外 们 件 任何 份 会 但 但是 位 何 何处 何时 何种 作为 作答 作者 你 你们 使
    依据 依照 信息 假如 全文 全部 关于 其 其中 其他 其余 其它 其实 具体 内 内容 再 写 写出 写到 几 几个 几种
    分别 列举 列出 则 别 到 到底 前 前文 前述 前面 勿 包含 包括 即使 原文 又 及 叙述 句 句子 句话 只 只有
    只要 可 可不可以 可以 可否 可知 可能 各 各个 各种 同 同时 后 后文 后面 向 吗 吧 含义 呀 告诉 呢 和 咱们
    哪 哪个 哪些 哪些方面 哪位 哪儿 哪种 哪里 哪项 啊 啥 嘛 回答 因为 因此 因而 在 地 基于 外 多 多久 多大
    多少 多长 大家 大意 大概 大约 大致 太 她 她们 如上 如下 如何 如果 它 它们 对 对于 将 就 尽管 已 已经 帮
    帮忙 帮我 常 并 并且 应 应当 应该 归纳 当 当中 往 很 得 得出 得知 必 必须 怎 怎么 怎么办 怎么样 怎样 总
    总之 总体 总是 总的来说 总结 您 想 意思 成为 我 我们 或 或者 所 所以 所有 所给 才 把 报告 报道 指 指出
    按 按照 据 探讨 描述 提 提供 提出 提到 提及 提问 摘要 整体 文中 文字 文本 文档 文段 文章 方面 无 既 既然
    时 时候 是 是不是 是否 更 更加 曾 曾经 最 有 有些 有关 有没有 未 本 本文 本身 材料 条 某 某个 某些 某种
    标题 根据 概括 概要 概述 次 正 正在 正文 正确 此 段 段落 段话 每 每个 比 没 没有 涉及 涉及到 点 然而
    甚么 生成 用 由 由于 的 相关 看 看到 着 知道 短文 种 究竟 章 章节 笔者 等 等等 答 答案 简单 简洁 简短
    简要 简述 篇 篇文章 篇章 约 经常 经过 结合 结论 给 给出 给定 综述 者 而 而且 能 能不能 能否 能够 自 自己
    自身 至 节 若 虽然 表明 表示 表达 表述 被 要 要点 观点 解答 讨论 让 讲 讲了 讲到 讲述 论述 话 话题 询问
    该 详细 语句 语段 说 说了 说出 说到 说明 说法 请 请问 读 课文 谁 谈 谈到 谈论 谈谈 资料 资讯 跟 较 过 还
    还是 这 这个 这么 这些 这句 这句话 这是 这样 这段 这段话 这种 这篇 这篇文章 这里 通常 通过 那 那个 那么
    那些 那是 那样 那种 那里 部分 都 里 里面 重点 针对 问 问句 问答 问题 阅读 阐述 陈述 除 除了 随着 需 需要
    非 非常 项 题 题目
    """
)
FUNCTION_WORDS = {"en": ENGLISH, "zh": CHINESE}
#: The traditional forms of the characters in these words, and the simplified ones.
TRADITIONAL = str.maketrans(
    "個話點種項況與爲為麼麽內題舉後間許瞭於僅紹從們會處時據關餘實體寫幾別則敘敍嗎義訴兒裏裡長約對將"
    "儘盡經幫並併應當該歸納須辦樣總來說説結給報討問檔無沒條標確節筆簡單潔過論綜夠雖達觀讓講詢詳細語"
    "請讀課誰談資訊較還這針閱閲闡陳隨",
    "个话点种项况与为为么么内题举后间许了于仅绍从们会处时据关余实体写几别则叙叙吗义诉儿里里长约对将"
    "尽尽经帮并并应当该归纳须办样总来说说结给报讨问档无没条标确节笔简单洁过论综够虽达观让讲询详细语"
    "请读课谁谈资讯较还这针阅阅阐陈随",
)
#: Questions that are looked at at once, which bounds the memory.
BATCH = 500_000


def function_word_share(questions: pl.Series) -> pl.Series:
    """Measure how much of each question is function words.

    A question that is nothing else asks for nothing: "What does the text say?", "根据上下文，提出一个问题。".

    Args:
        questions: n strings.

    Returns:
        float64, n values from 0 to 1: the share of the question's words (`minerkit.text.words`) that stand in
        `FUNCTION_WORDS`; 1 for a question without any word.
    """
    parts = [_shares(part["text"]) for part in questions.alias("text").to_frame().iter_slices(BATCH)]
    return pl.concat(parts).alias(questions.name) if parts else pl.Series(questions.name, [], pl.Float64)


def _shares(questions: pl.Series) -> pl.Series:
    text = normalise_text(pl.col("text")).str.to_lowercase()
    texts = questions.to_frame().select(text).with_row_index("place")
    chinese = pl.col("text").str.contains(r"\p{Han}")
    # Only Chinese needs a dictionary to be cut; letters and digits are found by polars, which is faster.
    rows = [
        (place, tokenize(line.translate(TRADITIONAL))) for place, line in texts.filter(chinese).iter_rows()
    ]
    cut = pl.DataFrame(rows, schema={"place": pl.UInt32, "words": pl.List(pl.String)}, orient="row")
    others = texts.filter(~chinese).select("place", words=pl.col("text").str.extract_all(r"[\p{L}\p{N}]+"))
    known = pl.element().is_in([*ENGLISH, *CHINESE])
    share = pl.col("words").list.eval(known).list.mean().fill_null(1.0)
    return pl.concat([others, cut]).sort("place").select(share)["words"]
