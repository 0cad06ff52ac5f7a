"""The hand-written cards: what they say of the bundled samples is what the samples give."""

import re
from pathlib import Path

import pytest

from minerkit.recipe.load import bundled, recipe_names
from minerkit.reports.cards.section import training_dataset_section

TABLES = re.compile(r"<!-- tables: (\S+) -->\n(.*)<!-- end of tables -->", re.DOTALL)


def sample_tables(run: Path) -> str:
    """The section "Training Dataset" of the sample's run, without the loss."""
    text = training_dataset_section(str(run), "train", None, "classic", None, None, None)
    return text.partition("* Loss:")[0].rstrip()


def facts(table: str) -> list[str]:
    """What does not hang on the last digits of an encoder: size, columns, types and shares of labels."""
    lines = [line for line in table.splitlines() if line.startswith(("* Size", "* Columns", "  | type"))]
    return [re.sub(r" +", " ", line) for line in lines] + re.findall(r"[01]: ~[\d.]+%|mean: 0\.\d+", table)


@pytest.mark.parametrize("name", recipe_names())
def test_the_tables_of_a_card_are_those_of_its_sample(name, mined):
    card = (bundled("data_cards") / f"{name}.md").read_text()
    found = TABLES.search(card)
    assert found and found[1] == name
    assert facts(found[2]) == facts(sample_tables(mined(name)))
    for part in ("## Source", "## Known issues", "| column | type | content |", "## The bundled sample"):
        assert part in card
