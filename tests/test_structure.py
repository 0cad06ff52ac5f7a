"""The house: rooms in one order, entered by their doors; small modules and functions; few touch files."""

import ast
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import minerkit

ROOT = Path(minerkit.__file__).parent
ROOMS = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
DOORS = [room for room in ROOMS if room != "cli"]
MODULES = sorted(path for path in ROOT.rglob("*.py"))
#: Modules, beside those of storage and sources, that read or write files themselves.
FILE_OWNERS = {
    "cli/inspect.py",
    "embeddings/cache.py",
    "embeddings/store.py",
    "embeddings/vectors.py",
    "hub/bundle.py",
    "hub/dataset_files.py",
    "hub/upload.py",
    "pipeline/finished.py",
    "pipeline/manifest.py",
    "recipe/files.py",
    "recipe/load.py",
    "reports/cards/dataset_card.py",
    "reports/cards/model_card.py",
    "reports/page/write.py",
    "runtime/memory.py",
    "runtime/models.py",
    "text/store.py",
    "training/checkpoints.py",
    "training/train.py",
}


def test_the_tree_is_small_at_depth_one():
    assert len([path for path in ROOT.iterdir() if path.name != "__pycache__"]) < 20


def test_rooms_import_downwards_and_through_doors_only():
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as c; c()",
        "--no-cache",
    ]
    done = subprocess.run(command, cwd=ROOT.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_door_says_what_comes_in_and_what_goes_out_and_resolves():
    code = (
        "import importlib, sys\n"
        "for room in sys.argv[1:]:\n"
        "    door = importlib.import_module(f'minerkit.{room}')\n"
        "    assert ' in' in door.__doc__ and ' out' in door.__doc__, door.__doc__\n"
        "    assert all(getattr(door, name) is not None for name in door.__all__), room\n"
    )
    subprocess.run([sys.executable, "-c", code, *DOORS], check=True)


@pytest.mark.parametrize("room", DOORS)
def test_no_file_bears_a_name_that_its_door_exports(room):
    stub = ast.parse((ROOT / room / "__init__.pyi").read_text())
    exported = {alias.name for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert exported
    assert not exported & {path.stem for path in (ROOT / room).iterdir()}


def test_no_module_is_over_250_lines_and_no_function_over_60():
    long = [str(path) for path in MODULES if len(path.read_text().splitlines()) > 250]
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 60:
                long.append(f"{path}: {node.name}")
    assert not long


def test_few_modules_touch_files():
    touching = re.compile(
        r"\.open\(|open\(|read_parquet|scan_parquet|write_parquet|\.write_text|\.read_text|np\.(load|save)\("
    )
    found = {
        str(path.relative_to(ROOT))
        for path in MODULES
        for line in path.read_text().splitlines()
        if touching.search(line) and "output.write" not in line and "def write_text" not in line
    }
    found = {name for name in found if name.split("/")[0] not in {"storage", "sources"}}
    assert not found - FILE_OWNERS


def test_tests_mirror_the_rooms():
    here = Path(__file__).parent
    folders = {path.parent.relative_to(here) for path in here.rglob("test_*.py")} - {
        Path("bench"),
        Path("docs"),
    }
    assert all((ROOT / folder).is_dir() for folder in folders)


def test_public_names_can_be_called_in_a_fresh_interpreter():
    code = """
import pkgutil, minerkit
first = {name: getattr(minerkit, name) for name in minerkit.__all__}
for module in pkgutil.walk_packages(minerkit.__path__, "minerkit."):
    pkgutil.resolve_name(module.name)
for name, found in first.items():
    assert callable(found) and found.__doc__ and getattr(minerkit, name) is found, name
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_docstrings_refer_to_what_there_is():
    named = {name for path in MODULES for name in re.findall(r"`(minerkit\.[\w.]*\w)`", path.read_text())}
    assert named
    for name in sorted(named):
        pkgutil.resolve_name(name)
