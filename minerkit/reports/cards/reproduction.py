"""How a model was made, and how to make it again: a section of its card."""

from collections.abc import Mapping
from typing import Any

from minerkit.recipe import Recipe, recipe_yaml
from minerkit.reports.cards.mining_facts import command, portable, safeguards

__all__ = ["reproduction"]


def reproduction(recipe: Recipe, counts: Mapping[str, Any], account: Mapping[str, Any]) -> str:
    """Write how a model was made, and how to make it again.

    Args:
        recipe: The recipe it was trained by.
        counts: What `split_statistics` gives for its train split.
        account: What training.json holds.

    Returns:
        A section of Markdown.
    """
    found = command(recipe, "train")
    how = (
        f"```bash\n{found}\n```\n\nwhich stands for this recipe:"
        if found
        else "Save this recipe as `recipe.yaml`, set `source` to where the corpus is, and run "
        "`minerkit train --recipe recipe.yaml`:"
    )
    seeds = f"{recipe.split.seed} (dev split), {recipe.mine.seed} (negatives), {account['seed']} (training)"
    yaml = recipe_yaml(Recipe.model_validate(portable(recipe.model_dump()))).rstrip()
    parts = [
        "## Reproduction",
        f"The rows and the model were made by minerkit {account['versions']['minerkit']}; seeds: {seeds}. "
        "The rows come out the same again, the weights as far as device and versions are the same.",
        _negatives(recipe, counts),
        how,
        f"<details><summary>Click to expand</summary>\n\n```yaml\n{yaml}\n```\n\n</details>",
    ]
    return "".join(f"{part}\n\n" for part in parts)


def _negatives(recipe: Recipe, rows: Mapping[str, Any]) -> str:
    """Say in words where the negatives come from."""
    if not rows["negatives"]:
        return "The rows hold no mined negatives."
    score = "cosine similarity" if recipe.encoder.normalize else "dot product"
    drawn = "" if recipe.mine.strategy == "top" else "drawn from "
    filled = f", {rows['backfilled']:,} of which fill gaps" if rows["backfilled"] else ""
    return (
        f"Negatives are {drawn}the documents that the encoder `{portable(recipe.encoder.model)}` "
        f"scores highest for a query ({score}), under these rules. {' '.join(safeguards(recipe))} That gives "
        f"{rows['positives']:,} positives and {rows['negatives']:,} negatives{filled}: "
        f"{rows['positive_share']:.1%} are positive."
    )
