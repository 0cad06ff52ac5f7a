"""Imports point one way, and only the modules that own files touch them."""

import ast
import re
from pathlib import Path

import minerkit

ROOT = Path(minerkit.__file__).parent
#: A module imports from the rows above its own only.
LAYERS = [
    {"errors", "variants", "threads", "evaluators", "texts", "batches", "compiled", "positions"},
    {"schema", "files", "recipe", "words", "progress", "sentences", "memory", "overlap", "vectors"},
    {"text", "table"},
    {"prefixes"},
    {"recipe_files", "near_duplicates", "cache", "stats", "filters", "documents", "furniture"}
    | {"parquet"},
    {"answers", "questions", "reissues", "keywords", "tokens", "terminal", "checkpoints", "pieces"},
    {"losses"},
    {"recipes", "clean", "splits", "exclude", "encoders", "search", "passages", "distributions"}
    | {"profile", "card_tables", "trainer", "failures"},
    {"sources", "samplers", "formats", "artefacts", "details", "intake", "audit", "collection"}
    | {"lexical", "models", "scoreboard", "training_summary", "arguments", "scratch"},
    {"asking", "work"},
    {"retrieve", "manifest", "report", "summary", "card_parts", "dev"}
    | {"base", "staging"},
    {"card", "model_card"},
    {"describe"},
    {"stages", "searching", "evaluate"},
    {"comparison", "train"},
    {"pipeline"},
    {"hub", "closing"},
    {"endtoend"},
    {"cli"},
]  # fmt: skip
#: Modules that read or write files.
FILE_OWNERS = {
    "sources",
    "cache",
    "table",
    "artefacts",
    "card",
    "manifest",
    "model_card",
    "files",
    "recipes",
    "recipe_files",
    "pipeline",
    "cli",
    "documents",
    "report",
    "hub",
    "models",
    "train",
    "checkpoints",
    "memory",
    "parquet",
    "pieces",
    "staging",
    "texts",
    "vectors",
}


def modules() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if name != "__init__":
            found.setdefault(name, []).append(path)
    return found


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "minerkit":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minerkit."):
            names.add(node.module.split(".")[1])
    return names


def test_every_module_has_a_layer():
    assert set(modules()) == set().union(*LAYERS)


def test_imports_point_one_way():
    level = {name: depth for depth, names in enumerate(LAYERS) for name in names}
    wrong = [
        f"{name} imports {other}"
        for name, paths in modules().items()
        for path in paths
        for other in imported(path) - {name}
        if level[other] >= level[name]
    ]
    assert not wrong


def test_only_file_owners_touch_files():
    touching = re.compile(
        r"\.open\(|open\(|read_parquet|scan_parquet|write_parquet|\.write_text|\.read_text|np\.(load|save)\("
    )
    wrong = [
        f"{path.name}: {line.strip()}"
        for name, paths in modules().items()
        if name not in FILE_OWNERS
        for path in paths
        for line in path.read_text().splitlines()
        if touching.search(line) and "stage.write" not in line and "def write_text" not in line
    ]
    assert not wrong


def test_public_names_resolve():
    for name in minerkit.__all__:
        assert getattr(minerkit, name).__doc__
