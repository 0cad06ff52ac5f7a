"""The section "Training Dataset", cell for cell as the installed sentence-transformers writes it."""

import importlib.resources
import re
import string

import polars as pl
import pytest

from minerkit.recipe.recipe import Train
from minerkit.reports.cards.training_dataset import training_dataset
from minerkit.reports.stats.column_stats import dataset_stats, layout_stats
from minerkit.reports.stats.token_lengths import token_lengths
from minerkit.training.losses import describe_loss

WORDS = ["the", "search", "for", "a", "semiconductor", "半导体", "产业链", "über", "μm"]


def texts(count: int, longest: int = 12, seed: int = 0) -> list[str]:
    return [
        " ".join(WORDS[(i * 7 + j + seed) % len(WORDS)] for j in range(1 + i % longest)) for i in range(count)
    ]


DATA = {
    "integer labels": {"question": texts(300), "answer": texts(300, 40, 3), "label": [1, 0, 0, 0, 0] * 60},
    "one label only": {"query": texts(5), "document": texts(5, 9, 1), "label": [1] * 5},
    "negative and large integers": {"text": texts(40), "label": [(-3, 12, 2, 100)[i % 4] for i in range(40)]},
    "many integers": {"text": texts(120), "id": list(range(120, 0, -1))},
    "boolean labels": {"a": texts(7), "b": texts(7, 5), "same": [True, False, True, True, False, True, True]},
    "float labels": {"a": texts(500), "b": texts(500, 30), "label": [0.0, 0.46, 1.0, 0.1] * 125},
    "lists of several sizes": {
        "query": texts(6),
        "documents": [texts(i + 1) for i in range(6)],
        "labels": [[1] + [0] * i for i in range(6)],
    },
    "lists of one size": {
        "query": texts(4),
        "documents": [texts(2, 3, i) for i in range(4)],
        "scores": [[0.5, 0.25, -0.125]] * 4,
        "flags": [[True, False]] * 4,
        "long": [list(range(8))] * 4,
    },
    "nothing in the first row": {
        "text": texts(4), "answer": [None, "a", "b", None], "label": [None, 1, 0, 1], "list": [None, []] * 2,
    },
    "nothing at all": {"text": texts(3), "empty": pl.Series([None, None, None], dtype=pl.String)},
    "nothing below the rows looked at": {
        "text": [*texts(104), None], "label": [*([1] * 104), None], "score": [*([0.5] * 104), None],
    },
    "line breaks and pipes": {
        "text": ["a\nb | c\n\n\nd", "\n", "|||", "tab\tand\rreturn", "  \u3000设备企业:\n\n业绩翻倍增长  "],
        "other": ["\u2028separated\u2029", "form\x0cfeed", "-:|", ":-:| |", "<b>bold</b> & `code` *stars*"],
    },
    "long texts": {"text": ["x" * 2000, "y" * 1000, "z" * 1001, "半" * 2000], "label": [1, 0, 1, 0]},
    "one row": {"query": ["what?"], "answer": ["that"], "label": [1]},
    "three rows": {"query": texts(3), "answer": texts(3, 2), "label": [1, 0, 0]},
    "two rows, one column": {"text": ["one", "two"]},
    "100 rows": {"query": texts(100), "label": [i % 3 for i in range(100)]},
    "101 rows": {"query": texts(101), "label": [0] * 100 + [1]},
    "1,000 rows": {"query": texts(1000), "answer": texts(1000, 50), "label": [1, 0, 0, 0, 0] * 200},
    "1,001 rows": {"query": texts(1001), "answer": texts(1001, 50), "label": [1, 0, 0] * 333 + [0, 5]},
    "Chinese": {
        "问题": ["什么是光刻机？", "先进封装有哪些工艺", "HBM 的优点"] * 20,
        "文档": ["光刻机把掩模上的图形投影到晶圆上。", "包括凸块、重布线\n和硅通孔。", "带宽高|功耗低"] * 20,
        "标签": [1, 0, 0] * 20,
    },
    "links and other types": {
        "url": ["https://example.com/a.jpg", "https://youtu.be/x", "data:image/png;base64,AA"],
        "raw": [b"ab", b"c", b""],
        "facts": [{"a": 1, "b": "x|y"}, {"a": 2, "b": ""}, {"a": 3, "b": "\n"}],
        "chat": [[{"role": "user", "content": "hello"}]] * 3,
        "dataset_name": ["x", "y", "z"],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def static_model():
    """A model without an attention mask, for which the library counts characters."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    letters = {letter: i for i, letter in enumerate(["?", *string.ascii_lowercase])}
    tokenizer = Tokenizer(WordLevel(letters, unk_token="?"))
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=4)], device="cpu")


@pytest.fixture(scope="module")
def encoder(minilm):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(minilm, device="cpu")


def reference(model, frame: pl.DataFrame, loss=None, family: str = "sentence_transformer") -> str:
    """What the installed library writes, without its line about the loss where none is given."""
    import datasets
    import jinja2

    info = model.model_card_data.compute_dataset_metrics(datasets.Dataset(frame.to_arrow()), {}, loss)
    template = importlib.resources.files(f"sentence_transformers.{family}") / "model_card_template.md"
    section = re.search(
        r"\{% if dataset\[.size.\] %\}.*?(?=\n\{% if dataset_list)", template.read_text(), re.DOTALL
    )
    text = jinja2.Template(section.group()).render(dataset=info, dataset_type="training")
    return text if loss is not None else text[: text.rindex("* Loss:")].rstrip("\n")


@pytest.mark.parametrize("name", DATA)
def test_current_layout_is_the_installed_library_s_in_characters(static_model, name):
    frame = pl.DataFrame(DATA[name])
    assert training_dataset(layout_stats(frame, "current"), "current") == reference(static_model, frame)


@pytest.mark.parametrize("name", DATA)
def test_current_layout_is_the_installed_library_s_in_tokens(minilm, encoder, name):
    frame = pl.DataFrame(DATA[name])
    stats = layout_stats(frame, "current", token_lengths(minilm))
    assert training_dataset(stats, "current") == reference(encoder, frame)


def test_a_parquet_file_gives_what_its_frame_gives(tmp_path):
    for number, columns in enumerate(DATA.values()):
        frame = pl.DataFrame(columns)
        frame.write_parquet(tmp_path / f"{number}.parquet", row_group_size=7)
        for rows in (100, 1000, None):
            assert dataset_stats(pl.scan_parquet(tmp_path / f"{number}.parquet"), rows) == dataset_stats(
                frame, rows
            )


def of_lengths(low: int, mean: float, high: int, count: int) -> list[str]:
    """Texts of `count` lengths with this least, mean and greatest."""
    left = round(mean * count) - low - high
    even, more = divmod(left, count - 2)
    assert low <= even < high
    lengths = [low, high, *([even] * (count - 2 - more)), *([even + 1] * more)]
    return ["半" * length for length in lengths]


def shown(unit: str, **values: object) -> str:
    return "<ul>" + "".join(f"<li>{name}: {value}{unit}</li>" for name, value in values.items()) + "</ul>"


GOOAQ = pl.DataFrame(
    {
        "question": of_lengths(21, 43.81, 96, 1000),
        "answer": of_lengths(51, 252.46, 405, 1000),
        "label": [1] * 171 + [0] * 829,
    }
)
REPORTS = pl.DataFrame(
    {
        "sentence_0": of_lengths(13, 55.08, 237, 890),
        "sentence_1": of_lengths(64, 179.63, 249, 890),
        "label": [1, 0, 0, 0, 0] * 178,
    }
)
CAPTIONS = pl.DataFrame(
    {
        "sentence_0": of_lengths(18, 104.96, 313, 1000),
        "sentence_1": of_lengths(15, 116.53, 482, 1000),
        "label": [1.0] * 230 + [0.0] * 770,
    }
)
#: The first rows, the size, and what the published card says.
PUBLISHED = {
    "gooaq": (
        GOOAQ,
        578_402,
        "* Size: 578,402 training samples",
        "* Columns: <code>question</code>, <code>answer</code>, and <code>label</code>",
        "* Approximate statistics based on the first 1000 samples:",
        "string | string | int",
        shown(" characters", min=21, mean=43.81, max=96),
        shown(" characters", min=51, mean=252.46, max=405),
        "<ul><li>0: ~82.90%</li><li>1: ~17.10%</li></ul>",
    ),
    "semiconductor-zh": (
        REPORTS,
        890,
        "* Size: 890 training samples",
        "* Columns: <code>sentence_0</code>, <code>sentence_1</code>, and <code>label</code>",
        "* Approximate statistics based on the first 890 samples:",
        "string | string | int",
        shown(" characters", min=13, mean=55.08, max=237),
        shown(" characters", min=64, mean=179.63, max=249),
        "<ul><li>0: ~80.00%</li><li>1: ~20.00%</li></ul>",
    ),
    "product-captions": (
        CAPTIONS,
        68_056,
        "* Size: 68,056 training samples",
        "* Columns: <code>sentence_0</code>, <code>sentence_1</code>, and <code>label</code>",
        "* Approximate statistics based on the first 1000 samples:",
        "string | string | float",
        shown(" characters", min=18, mean=104.96, max=313),
        shown(" characters", min=15, mean=116.53, max=482),
        "<ul><li>min: 0.0</li><li>mean: 0.23</li><li>max: 1.0</li></ul>",
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_classic_layout_is_the_published_cards_(tmp_path, name):
    head, size, *lines, types, first, second, labels = PUBLISHED[name]
    row = pl.DataFrame({"a": ["x"], "b": ["y"], "label": head["label"].tail(1)}).rename(
        dict(zip("ab", head.columns[:2], strict=True))
    )
    file = tmp_path / "train.parquet"
    pl.concat([head, pl.concat([row] * (size - len(head)))]).write_parquet(file) if size > len(
        head
    ) else head.write_parquet(file)
    section = training_dataset(layout_stats(pl.scan_parquet(file)), "classic").split("\n")
    assert section[:3] == lines
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section[3:7]]
    assert table[0] == ["", *head.columns]
    assert table[2] == ["type", *types.split(" | ")]
    assert table[3] == ["details", first, second, labels]
    widths = [len(cell) for cell in table[3]]
    assert section[4] == "  |" + "|".join(":" + "-" * (width + 1) for width in widths) + "|"
    assert section[7] == "* Samples:"
    assert section[8].split() == ["|", head.columns[0], "|", head.columns[1], "|", "label", "|"]
    assert len(section) == 13 and all(line.count("<code>") == 3 for line in section[10:])


@pytest.fixture(scope="module")
def reranker(minilm):
    from sentence_transformers import CrossEncoder

    return CrossEncoder(minilm, num_labels=1, device="cpu")


def test_a_reranker_s_section_with_its_loss(minilm, reranker):
    import torch
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

    frame = pl.DataFrame(DATA["integer labels"])
    for weight in (None, 5, 4.25):
        loss = BinaryCrossEntropyLoss(reranker, pos_weight=None if weight is None else torch.tensor(weight))
        stats = layout_stats(frame, "current", token_lengths(minilm))
        mine = training_dataset(stats, "current", describe_loss(Train(pos_weight=weight)))
        # The converted model takes twice the tokens; no text here reaches either limit.
        assert mine == reference(reranker, frame, loss, "cross_encoder")


def test_an_encoder_s_section_with_its_loss(minilm, encoder):
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.util import dot_score

    frame = pl.DataFrame(DATA["one row"]).drop("label")
    stats = layout_stats(frame, "current", token_lengths(minilm))
    for given, made in (
        ({}, MultipleNegativesRankingLoss(encoder)),
        ({"scale": 1.0, "similarity": "dot"}, MultipleNegativesRankingLoss(encoder, 1.0, dot_score)),
    ):
        mine = training_dataset(stats, "current", describe_loss(Train(loss="mnrl", loss_args=given)))
        assert mine == reference(encoder, frame, made)
