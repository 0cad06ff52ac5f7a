import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.sources.documents.heading_queries import heading_queries, heading_query


@pytest.mark.parametrize(
    ("headings", "query"),
    [
        # the title's subject, and the last heading
        (["NVIDIA 公司分析报告", "发展历程"], "NVIDIA 发展历程"),
        (["英飛凌 公司分析報告", "關鍵風險分析"], "英飛凌 關鍵風險分析"),
        (["光刻胶深度研究报告", "国产化率"], "光刻胶 国产化率"),
        (["Memory Market Analysis Report", "DRAM prices"], "Memory DRAM prices"),
        (["先进封装札记", "从一颗大芯片到一组小芯片"], "先进封装札记 从一颗大芯片到一组小芯片"),
        # of what is between, the nearest that says something
        (["NVIDIA", "公司概况", "业务架构", "核心业务板块"], "NVIDIA 业务架构 核心业务板块"),
        (["全球芯片公司", "美国公司", "SambaNova", "技术特点"], "全球芯片公司 SambaNova 技术特点"),
        (["先进封装", "学习要点总结", "核心观点"], "先进封装 核心观点"),
        (["Compiler notes", "Passes", "Overview"], "Compiler notes Passes Overview"),
        # what says nothing by itself
        (["概述"], ""),
        (["执行摘要"], ""),
        (["风险提示", "投资建议"], ""),
        (["Introduction"], ""),
        (["公司分析报告", "目录"], ""),
        (["投资建议", "黄金"], "黄金"),
        # numbers, and what only looks like one
        (["第三章 设备", "3.1 光刻机"], "设备 光刻机"),
        (["一、材料", "（二）光刻胶"], "材料 光刻胶"),
        (["材料", "4. 大陆业务"], "材料 大陆业务"),
        (["材料", "4.5 个性化方案"], "材料 个性化方案"),
        (["Part 2: Lithography", "2.1.3 Light sources"], "Lithography Light sources"),
        (["1️⃣ AI 芯片内部长什么样？"], "AI 芯片内部长什么样？"),
        (["28 nm 工艺"], "28 nm 工艺"),
        (["12 英寸晶圆"], "12 英寸晶圆"),
        (["3 年规划"], "3 年规划"),
        (["5G 芯片"], "5G 芯片"),
        (["2024年业绩"], "2024年业绩"),
        (["3.2"], ""),
        (["材料", "（一）"], "材料"),
        # emoji, frames, dates and versions
        (["📈 光刻胶", "⚠️ 供应链中断"], "光刻胶 供应链中断"),
        (["【香山双周报 62】20241028 期", "近期进展", "后端流水线"], "香山双周报 62 后端流水线"),
        (["[XiangShan Biweekly 98] 20260316", "Frontend"], "XiangShan Biweekly 98 Frontend"),
        (["芯片公司清单（完整版 - v4.0）", "港股公司"], "芯片公司清单 港股公司"),
        (["寒武紀", "公司概況（續）3", "邊緣晶片"], "寒武紀 邊緣晶片"),
        (["ABF 载板", "2026-02-05 今日更新", "目标价上调"], "ABF 载板 目标价上调"),
        # what another heading says already
        (["Miss Queue", "Miss Queue 触发替换"], "Miss Queue 触发替换"),
        (["入门（三）更大的缓存", "更大的缓存", "局部性"], "入门（三）更大的缓存 局部性"),
        (["原子不可分", "原子不可分！"], "原子不可分"),
        (["AI", "Mainframes"], "AI Mainframes"),
        # too long to be typed
        (["甲" * 30, "乙" * 15, "丙" * 12], f"{'甲' * 30} {'丙' * 12}"),
        (["甲" * 45, "乙" * 12], "乙" * 12),
        (["光刻胶", "x" * 101], "光刻胶"),
        (["甲" * 60], ""),
        ([], ""),
    ],
)
def test_a_query_of_headings(headings, query):
    assert heading_query(headings) == query


def queries(*sections) -> list[str]:
    return list(heading_queries(sections).values())


def test_sections_that_would_share_a_query_get_all_their_headings():
    one, other = ("瑞萨", "汽车", "毛利率", "趋势图"), ("瑞萨", "工业", "毛利率", "趋势图")
    assert queries((one, "a"), (other, "a")) == ["瑞萨 汽车 毛利率 趋势图", "瑞萨 工业 毛利率 趋势图"]


def test_one_path_in_two_reports_is_one_query():
    path = ("NXP 公司分析报告", "1.2 发展历程")
    assert queries((path, "a"), (("NXP 深度分析报告", "发展历程"), "b")) == ["NXP 发展历程", "NXP 发展历程"]


def test_a_heading_that_stands_alone_in_many_reports_says_nothing():
    sections = [(("产业链梳理",), name) for name in "abc"]
    assert queries(*sections) == [""]
    assert queries(*sections[:2]) == ["产业链梳理"]
    assert queries(*sections[:1] * 3) == ["产业链梳理"]


def test_versions_of_a_report_are_one_report():
    assert queries(*[(("产业链梳理",), "a")] * 5) == ["产业链梳理"]


@given(st.lists(st.text(max_size=12), max_size=4))
def test_a_query_is_one_line_without_blanks_around_it(headings):
    query = heading_query(headings)
    assert query == query.strip()
    assert len(query.splitlines()) <= 1
    assert heading_queries([(headings, "a")]) == {tuple(headings): query}
