"""The rooms of flows/ depend on each other in one direction, and files, functions and models have a length limit."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
FLOWS = PROJECT / "flows"

ROOMS = (
    ("core",),
    ("config",),
    ("sources",),
    ("lake",),
    ("ingest", "warehouse"),
    ("learning",),
    ("site",),
    ("outcome",),
    ("orchestration",),
    ("trial", "publish"),
    ("elt", "train", "reproduce", "stream", "watch", "maintain", "docs"),
    ("score", "backfill", "changes"),
    ("cli",),
    ("__main__",),
)
"""Rooms of flows, lowest first: each imports from earlier rows only, and rooms of one row do not import each other."""

LONGEST_FILE, LONGEST_FUNCTION, LONGEST_MODEL = 350, 60, 150
"""Lines of a Python file and of a function, and lines of an SQL model that are not blank."""

MODULES = {".".join(path.relative_to(PROJECT).with_suffix("").parts): path for path in sorted(FLOWS.rglob("*.py"))}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports_of(path: Path) -> set[str]:
    """Return the modules of flows that a file imports, at any place in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return {name for name in found if name in MODULES}


def test_every_room_has_its_row() -> None:
    assert {room_of(module) for module in MODULES} == {room for row in ROOMS for room in row} | {"__init__"}


@pytest.mark.parametrize("module", MODULES)
def test_rooms_depend_on_lower_ones_alone(module: str) -> None:
    row_of = {room: row for row, rooms in enumerate(ROOMS) for room in rooms}
    own = room_of(module)
    wrong = [
        name
        for name in imports_of(MODULES[module])
        if room_of(name) not in (own, "__init__") and row_of[room_of(name)] >= row_of.get(own, len(ROOMS))
    ]
    assert wrong == []


def test_the_warehouse_reaches_the_lake_by_its_catalog_alone() -> None:
    reached = {
        name
        for module, path in MODULES.items()
        if room_of(module) == "warehouse"
        for name in imports_of(path)
        if room_of(name) in ("lake", "sources")
    }
    assert reached == {"flows.lake.catalog"}


def test_no_module_imports_itself_through_others() -> None:
    try:
        TopologicalSorter({module: imports_of(path) - {module} for module, path in MODULES.items()}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_file_or_function_is_too_long_to_be_read() -> None:
    lengths = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}
    functions = {
        f"{module}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name for name, length in lengths.items() if length > LONGEST_FILE} == set()
    assert {name for name, length in functions.items() if length > LONGEST_FUNCTION} == set()


def test_no_model_is_too_long_to_be_read() -> None:
    lengths = {
        path.stem: sum(bool(line.strip()) for line in path.read_text(encoding="utf-8").splitlines())
        for path in (PROJECT / "models").rglob("*.sql")
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODEL} == {}
