"""A shop with its own schema, added by YAML only, and runs of the whole flow on it."""

import csv
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
import yaml

from flows.config import settings
from flows.config.settings import DataFolder
from flows.orchestration.server import flush_logs_and_events, free_port, prepare_prefect, serving, wait_for_server
from flows.warehouse import build
from flows.warehouse.dbt import Dbt
from flows.warehouse.descriptions import HISTORIES

SET = "own_shop"
CANARY = "canary.person@example.com"
"""The email address of a customer, which must be in the lake only."""

Row = tuple[Any, ...]
ARRIVAL = "('_loaded_at', '_is_backfill')"
SALES = ["Receipt", "Pos", "Sold", "Client", "Article", "Pieces", "Each", "State"]
CLIENTS = ["No", "Mail", "Land", "Changed"]
ARTICLES = ["Code", "Label", "Group", "Each", "Changed"]

CONNECTIONS: Mapping[str, Any] = {
    "crm": {
        "tables": {
            "customers": {
                "from": "clients*.csv",
                "columns": {"customer_id": "No", "email": "Mail", "country": "Land", "updated_at": "Changed"},
            }
        }
    },
    "shop": {
        "tables": {
            "products": {
                "from": "articles*.csv",
                "columns": {
                    "product_id": "Code",
                    "product_name": "Label",
                    "category": '"Group"',
                    "unit_price": "Each",
                    "updated_at": "Changed",
                },
            }
        }
    },
    "sales": {
        "tables": {
            "orders": {
                "from": "sales*.csv",
                "time_zone": "Europe/Berlin",
                "query": (
                    "select _file, min(_row) as _row, Receipt as order_id, min(Client) as customer_id, "
                    "min(Sold) as ordered_at, min(State) as status, 'store' as channel, 'EUR' as currency, "
                    "min(Sold) as updated_at from source group by _file, Receipt order by _row"
                ),
            },
            "order_lines": {
                "from": "sales*.csv",
                "columns": {
                    "order_id": "Receipt",
                    "line_number": "Pos",
                    "product_id": "Article",
                    "quantity": "Pieces",
                    "unit_price": "replace(Each, ',', '.')",
                },
            },
        }
    },
}


@dataclass(frozen=True)
class FlowShop:
    """The shop's drop folder, its connections file and its data folder."""

    drops: Path
    connections: Path
    folder: DataFolder

    def drop(self, name: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Put a CSV file into the drop folder."""
        with (self.drops / name).open("w", newline="") as file:
            csv.writer(file, delimiter=";").writerows([header, *rows])

    def drop_day(self, day: int, orders: int = 30) -> None:
        """Put a day of sales, clients and articles there; every day some clients move, and some articles get a new
        name.
        """
        moment = f"2026-01-{day:02d}"
        self.drop(
            f"clients-{day}.csv",
            CLIENTS,
            [
                [
                    f"{n:04d}",
                    CANARY if n == 1 else f"c{n}@example.com",
                    "DE" if (n + day) % 7 else "AT",
                    f"{moment} 06:00",
                ]
                for n in range(1, 12)
            ],
        )
        self.drop(
            f"articles-{day}.csv",
            ARTICLES,
            [
                [f"A{n}", f"Article {n}" if (n + day) % 5 else f"Article {n}, new", "tea", "2.50", f"{moment} 05:00"]
                for n in range(1, 9)
            ],
        )
        self.drop(
            f"sales-{day}.csv",
            SALES,
            [
                [
                    f"{day}-{n}",
                    line,
                    f"{moment} {8 + n % 12:02d}:15",
                    f"{n % 14:04d}" if n % 14 else "",
                    f"A{1 + (n + line) % 8}",
                    -1 if n % 9 == 0 else line,
                    "2,50",
                    "completed",
                ]
                for n in range(1, orders + 1)
                for line in (1, 2)
            ],
        )

    def elt(self, **options: Any) -> Any:
        """Run the flow like the command line; raises the flow's errors."""
        from flows.elt import elt

        return elt(SET, str(self.connections), **options)

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Query the published release."""
        with duckdb.connect(str(self.folder.warehouse.resolve()), read_only=True) as connection:
            return connection.execute(sql, list(values)).fetchall()

    @property
    def release_name(self) -> str:
        """The release that readers see."""
        return self.folder.warehouse.resolve().parent.name

    def fingerprint(self) -> dict[str, list[Row]]:
        """Return the rows of every published table, without load times and run ids."""
        return fingerprint_of(self.folder.warehouse.resolve())

    def written_bytes(self) -> Iterator[tuple[Path, bytes]]:
        """Yield all files that people and tools read: those outside the lake's data."""
        for path in self.folder.path.rglob("*"):
            if path.is_file() and self.folder.lake not in path.parents:
                yield path, path.read_bytes()


def fingerprint_of(database: Path) -> dict[str, list[Row]]:
    """Return the rows of every table, without load times and run ids."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return {
            table: sorted(connection.execute(f"from ({told})").fetchall(), key=repr)
            for table, told in comparable_tables(connection)
        }


def comparable_tables(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return the tables that are equal after two runs on the same data, each with SQL for its equal columns."""
    tables = connection.execute(
        "select schema_name, table_name from duckdb_tables() "
        f"where schema_name not in ('main', 'history') and table_name not in {('incremental_state', *HISTORIES)} "
        "order by all"
    ).fetchall()
    columns = f"columns(lambda name: name not in {ARRIVAL})"
    return [(table, f'select {columns} from "{schema}"."{table}"') for schema, table in tables]


def make_shop(root: Path, data: Path) -> FlowShop:
    """Make a shop without any loads."""
    folder = DataFolder(data / SET)
    clear(folder)
    drops = root / "drops"
    drops.mkdir(parents=True)
    connections = root / "connections.yml"
    sources = {name: {"url": f"file:{drops}", **entry} for name, entry in CONNECTIONS.items()}
    connections.write_text(yaml.safe_dump({SET: sources}))
    return FlowShop(drops, connections, folder)


def publish_first_day(shop: FlowShop, copy: Path) -> tuple[FlowShop, Path]:
    """Publish a day of a shop, without unit tests, and keep a copy of its data."""
    shop.drop_day(1)
    with pytest.MonkeyPatch.context() as patched:
        leave_out_unit_tests(patched)
        shop.elt()
    keep_copy(shop.folder, copy)
    return shop, copy


def publish_by_dependency(shop: FlowShop) -> None:
    """Declare that a failure holds back only what depends on it."""
    sources = yaml.safe_load(shop.connections.read_text())
    sources[SET]["release"] = "by_dependency"
    shop.connections.write_text(yaml.safe_dump(sources))


def clear(folder: DataFolder) -> None:
    """Empty a data folder, but keep the parsed dbt project, which takes seconds to make."""
    for path in folder.path.iterdir() if folder.path.exists() else ():
        if path != folder.target:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def keep_copy(folder: DataFolder, place: Path) -> None:
    """Copy a data folder, so that tests need not build the same release again."""
    shutil.copytree(
        folder.path, place, symlinks=True, ignore=lambda path, _: ["target"] if path == str(folder.path) else []
    )


def put_back(folder: DataFolder, place: Path) -> None:
    """Reset a data folder to its copy."""
    clear(folder)
    shutil.copytree(place, folder.path, symlinks=True, dirs_exist_ok=True)


def leave_out_unit_tests(patched: pytest.MonkeyPatch) -> None:
    """Record the unit tests as passed, as if the same code had passed them; they take half of a first run."""

    def pass_all(dbt: Dbt, wanted: Mapping[str, str]) -> list[Any]:
        return [SimpleNamespace(node=dbt.node(key), status="pass", failures=0, message=None) for key in wanted]

    patched.setattr(build, "run_code_tests", pass_all)


def leave_out_data_tests(patched: pytest.MonkeyPatch) -> None:
    """Build and publish without data tests, and without docs, for tests that compare rows with those of another run."""
    parse = Dbt.parse

    def parse_part(folder: DataFolder, variables: Mapping[str, Any] | None = None) -> Dbt:
        dbt = parse(folder, variables)
        tests = [key for key, node in dbt.manifest.nodes.items() if node.resource_type == "test"]
        for key in tests:
            del dbt.manifest.nodes[key]
        dbt.manifest.build_parent_and_child_maps()
        return dbt

    patched.setattr(Dbt, "parse", staticmethod(parse_part))
    patched.setattr("flows.publish.write_site", lambda _dbt, _sources: None)


def make_test_fail(failing: str, patched: pytest.MonkeyPatch) -> None:
    """Make a data test of the project find a row."""
    parse = Dbt.parse

    def parse_with(folder: DataFolder, variables: Mapping[str, Any] | None = None) -> Dbt:
        dbt = parse(folder, variables)
        test = next(node for node in dbt.manifest.nodes.values() if node.name == failing)
        test.raw_code = "select 1 as broken"
        return dbt

    patched.setattr(Dbt, "parse", staticmethod(parse_with))


def bring_prefect_database(home: Path) -> None:
    """Copy the database of `make setup` into a data folder; making a database takes ten seconds."""
    made_by_setup = settings.PROJECT / "data" / "prefect" / "prefect.db"
    (home / "prefect").mkdir(parents=True)
    if made_by_setup.exists():
        shutil.copy(made_by_setup, home / "prefect" / "prefect.db")


def bring_template(home: Path) -> Path:
    """Copy the template of `make setup` into a data folder, and what it knows of unit tests; return the template."""
    made_by_setup = settings.PROJECT / "data"
    if (made_by_setup / settings.TEMPLATE).exists():
        shutil.copytree(made_by_setup / settings.TEMPLATE, home / settings.TEMPLATE, symlinks=True)
        shutil.copy(made_by_setup / "code_tests.json", home)
    return home / settings.TEMPLATE


@contextmanager
def prefect_for_tests(home: Path) -> Iterator[None]:
    """Serve Prefect from a database in a data folder; one per process, because Prefect reads its settings once.

    The folder has what set-up makes, so that a set begins as a user's does.
    """
    bring_prefect_database(home)
    bring_template(home)
    os.environ[settings.DATA_VARIABLE] = str(home)
    prepare_prefect()
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    os.environ["PREFECT_API_URL"] = url
    with serving(port, with_ui=False):
        wait_for_server(url)
        try:
            yield
        finally:
            flush_logs_and_events()


def command(*arguments: str) -> list[str]:
    """Return the command line of a user."""
    return [sys.executable, "-m", "flows", *arguments]
