"""How a model was made, and how to make it again: a section of its card."""

from collections.abc import Mapping
from typing import Any

from minerkit.recipe import Recipe, recipe_yaml
from minerkit.reports.cards.mining_facts import command, names_folders, portable
from minerkit.reports.cards.sentences import origin

__all__ = ["reproduction"]


def reproduction(recipe: Recipe, counts: Mapping[str, Any], account: Mapping[str, Any]) -> str:
    """Write how a model was made, and how to make it again.

    Args:
        recipe: The recipe it was trained by.
        counts: What `split_statistics` gives for its train split, with how many negatives people `judged`
            irrelevant, and the mode of the `search`.
        account: What training.json holds.

    Returns:
        A section of Markdown.
    """
    found, moved = command(recipe, "train"), names_folders(recipe)
    how = (
        f"```bash\n{found}\n```\n\nwhich stands for this recipe"
        f"{', with the files it names in the working directory' if moved else ''}:"
        if found
        else f"Save this recipe as `recipe.yaml`{', name in it where its files are' if moved else ''}, and "
        "run `minerkit train --recipe recipe.yaml`:"
    )
    by_chance = counts["search"] == "ann" and recipe.search.mode == "auto"
    ann = " The search was made approximate by measured time; `search.mode: ann` makes it so again."
    seeds = f"{recipe.split.seed} (dev split), {recipe.mine.seed} (negatives), {account['seed']} (training)"
    yaml = recipe_yaml(Recipe.model_validate(portable(recipe.model_dump()))).rstrip()
    parts = [
        "## Reproduction",
        f"The rows and the model were made by minerkit {account['versions']['minerkit']}; seeds: {seeds}. "
        f"Both come out the same again as far as device and versions are the same.{ann if by_chance else ''}",
        origin(recipe, counts, portable(recipe.encoder.model)),
        how,
        f"<details><summary>Click to expand</summary>\n\n```yaml\n{yaml}\n```\n\n</details>",
    ]
    return "".join(f"{part}\n\n" for part in parts)
