"""All mistakes of a set of connections are told at once, before anything is read, built or started."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet
from support.command_line import Said, run_command
from support.rest_api import TOKEN, Asked, Serve, page

from flows.cli.check import check_before_run
from flows.config.connections import read_connections
from flows.config.declared import declared_contracts
from flows.config.settings import PROJECT
from flows.core.names import TableName
from flows.ingest.load import load_table

pytest_plugins = ["support.rest_fixtures"]

CLIENTS = "Number;Given;Mail;Changed\n0007;Ada;ada@example.com;2026-01-05 09:00\n0008;Bo;bo@example.org;2026-01-06\n"
RECEIPTS = "Receipt;Pos;Sold;Client;Article;Pieces;Each\nR1;1;2026-01-05 10:15;0007;green;2;4,50\n"
CUSTOMERS = {"customer_id": "Number", "full_name": "Given", "email": "Mail", "updated_at": "Changed"}
LINES = {
    "order_id": "Receipt",
    "line_number": "Pos",
    "product_id": "Article",
    "quantity": "Pieces",
    "unit_price": "replace(Each, ',', '.')",
}
CANARY = "hunter2-c4nary"

Check = Callable[..., Said]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two files of a shop, and a data folder that is still empty."""
    monkeypatch.setenv("ML_WAREHOUSE_DATA", str(tmp_path / "data"))
    for variable in ("ML_WAREHOUSE_SET", "ML_WAREHOUSE_LAKE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "clients.csv").write_text(CLIENTS)
    (tmp_path / "inbox" / "receipts.csv").write_text(RECEIPTS)
    return tmp_path


@pytest.fixture
def check(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Check a set that is called tea, with these sources."""

    def run(command: str = "check", *arguments: str, **sources: Any) -> Said:
        (folder / "shop.yml").write_text(yaml.safe_dump({"tea": sources}, sort_keys=False))
        return run_command(monkeypatch, capsys, command, *arguments, "--connections", "shop.yml")

    return run


def files(**tables: Any) -> dict[str, Any]:
    return {"url": "file:inbox", "tables": tables}


def customers(**columns: str) -> dict[str, Any]:
    return files(customers={"from": "clients.csv", "columns": CUSTOMERS | columns})


def test_a_set_without_a_mistake_is_looked_at_and_nothing_is_written(folder: Path, check: Check) -> None:
    # Given two files that are mapped as they should be
    said = check(crm=customers(), sales=files(order_lines={"from": "receipts.csv", "columns": LINES}))

    # Then the check ends well, says what it looked at and the next command, and leaves no folder
    assert (said.code, said.err.count("\n")) == (0, 1), said.text
    assert "set tea: no mistake; 2 tables of 2 sources looked at" in said.out
    assert "-m flows elt --set tea --connections" in said.out
    assert sorted(path.name for path in folder.iterdir()) == ["inbox", "shop.yml"]


BROKEN: dict[str, tuple[dict[str, Any], int, list[str]]] = {
    "misspelt column": (
        {"crm": customers(customer_id="Numbr")},
        4,
        [
            'crm.customers (clients.csv): column "Numbr" not found',
            "the source has Number, Given, Mail, Changed",
            'Did you mean "Number"?',
        ],
    ),
    "misspelt column that may be null": (
        {"crm": customers(full_name="Givn")},
        4,
        ['the source has no "Givn"', "the source has Number, Given", 'Did you mean "Given"?'],
    ),
    "misspelt table": ({"crm": files(custmers={"from": "clients.csv"})}, 2, ["tea.crm.custmers has no contract (did"]),
    "unknown contract column": (
        {"crm": customers(e_mail="Mail")},
        4,
        ["its mapping names e_mail", "which the contract does not have", "it has customer_id, full_name"],
    ),
    "contract column that is not mapped": (
        {"crm": files(customers={"from": "clients.csv"})},
        4,
        ["the contract requires column 'customer_id'", "Map it in shop.yml under tea.crm.tables.customers.columns"],
    ),
    "wrong type expression": (
        {"crm": customers(updated_at="cast(Given as timestamp)")},
        4,
        [
            "crm.customers (clients.csv): 2 of the first 2 records would",
            "updated_at: cannot be mapped (2)",
            "-m flows preview",
        ],
    ),
    "unknown function": (
        {"crm": customers(full_name="upcase(Given)")},
        4,
        ["name upcase does not exist", "tea.crm.tables.customers.columns.full_name"],
    ),
    "missing environment variable": (
        {"crm": {"url": "{{ env_var('TEA_URL') }}"}},
        2,
        ["shop.yml: tea.crm needs the environment variable TEA_URL"],
    ),
    "missing driver": (
        {"crm": {"url": "oracle://db.example.com/tea", "tables": {"customers": None}}},
        2,
        ["the url of tea.crm needs the driver oracledb", "pip install oracledb"],
    ),
    "dead host": (
        {"crm": {"url": "http://127.0.0.1:9", "tables": {"customers": {"from": "/people"}, "experiments": None}}},
        4,
        ["crm.customers: 127.0.0.1:9/people: ConnectError: [Errno 111] Connection refused"],
    ),
    "wrong file glob": (
        {"crm": files(customers={"from": "client-*.csv"})},
        4,
        ["no file matches client-*.csv; its folder has clients.csv, receipts.csv", "tea.crm.tables.customers"],
    ),
    "missing file of a database": (
        {"crm": {"url": "sqlite:///shop.sqlite", "tables": {"customers": None}}},
        4,
        ["there is no SQLite file shop.sqlite", "tea.crm.tables.customers"],
    ),
    "unknown key": (
        {"crm": {"url": "file:inbox", "tabels": {}}},
        2,
        ["shop.yml: tea.crm has unknown keys: tabels (did you mean tables?)"],
    ),
    "unknown time zone": (
        {"crm": files(customers={"from": "clients.csv", "columns": CUSTOMERS, "time_zone": "Europe/Lundun"})},
        2,
        ["'Europe/Lundun' is no time zone", "tea.crm.tables.customers"],
    ),
    "query with a mistake": (
        {"crm": files(customers={"from": "clients.csv", "query": "select nosuch(Number) as customer_id from source"})},
        4,
        ["the query of its mapping fails", "nosuch does not exist"],
    ),
}


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_broken_mapping_is_told_by_file_set_and_column(folder: Path, check: Check, mistake: str) -> None:
    # Given a set with this mistake
    sources, code, texts = BROKEN[mistake]

    # When it is checked, then the exit code is that of the mistake, which is told with its place and remedy, once
    said = check(**sources)
    assert said.code == code, said.text
    for text in texts:
        assert said.text.count(text) >= 1, said.text
    assert "set tea: 1 mistake;" in said.out, said.text
    assert "Batches that were committed" not in said.text

    # And it leaves no folder
    assert not (folder / "data").exists()


def test_a_wrong_password_and_a_wrong_path_of_an_api_are_told(check: Check, serve: Serve, monkeypatch: Any) -> None:
    # Given an API that wants another token, and pages that go on at another place than the mapping says
    def answer(asked: Asked) -> Any:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {}, b"no"
        line = {"order_id": "1", "line_number": 1, "product_id": "a", "quantity": 1, "unit_price": 2}
        return page([line], links={"next": "/lines?page=2"})

    api = serve(answer)
    monkeypatch.setenv("TEA_TOKEN", CANARY)
    table = {"from": "/lines", "records": "data", "paging": {"next": "next"}}
    source = {"url": api.url, "auth": {"bearer": "{{ env_var('TEA_TOKEN') }}"}, "tables": {"order_lines": table}}

    # When it is checked, then the host and the status are told, without the token
    said = check(sales=source)
    assert (said.code, len(api.requests)) == (4, 1)
    assert f"sales.order_lines: {api.url.removeprefix('http://')}/lines answered with HTTP status 401" in said.err
    assert "tea.sales" in said.err
    assert CANARY not in said.text

    # And with the right one, the place of the next page
    monkeypatch.setenv("TEA_TOKEN", TOKEN)
    said = check(sales=source)
    assert (said.code, len(api.requests)) == (4, 2)
    assert "no answer has anything at next, and it has something at links.next" in said.err

    # And a list of records that is elsewhere
    said = check(sales=source | {"tables": {"order_lines": table | {"records": "items"}}})
    assert "its answer has no list of records at items" in said.err

    # And a set that is mapped as it should be has no mistake; one page was read
    said = check(sales=source | {"tables": {"order_lines": table | {"paging": {"next": "links.next"}}}})
    assert (said.code, len(api.requests)) == (0, 4), said.text


def test_a_column_that_a_database_does_not_have_is_told_with_those_that_it_has(folder: Path, check: Check) -> None:
    # Given a table of a database, of which two expressions and the where are wrong
    with closing(sqlite3.connect(folder / "shop.sqlite")) as database:
        database.execute("create table clients (id text, mail text, at text)")
        database.execute("insert into clients values ('1', 'a@example.com', '2026-01-01')")
        database.commit()
    columns = {"customer_id": "idd", "email": "mial", "updated_at": '"at"'}
    table = {"from": "clients", "columns": columns, "where": "staus = 1"}

    # When it is checked, then all three are told
    said = check(crm={"url": "sqlite:///shop.sqlite", "tables": {"customers": table}})
    assert said.code == 4
    assert "set tea: 3 mistakes" in said.out, said.text
    for place in ("columns.customer_id.", 'columns.email. Did you mean "mail"?', "customers.where."):
        assert place in said.err, said.text
    assert said.err.count("the source has id, mail, at") == 3


def test_all_mistakes_of_a_file_are_told_at_once(check: Check, serve: Serve) -> None:
    # Given a set in which every source has a mistake, and one table has four
    wrong = {"customer_id": "Numbr", "custmer_name": "Given", "full_name": "nosuch(Given)", "email": "Mial"}
    said = check(
        crm=files(customers={"from": "clients.csv", "columns": {**wrong, "updated_at": "Changed"}}),
        shop={"url": "file:inbox", "tables": {"products": {"from": "articles.csv"}, "produkts": None}},
        sales={"url": "http://127.0.0.1:9", "tables": {"orders": {"from": "/orders"}, "order_lines": None}},
        web={"url": "file:inbox", "tabels": {}},
        content={"url": "{{ env_var('TEA_CONTENT') }}"},
        lending={"url": "oracle://db.example.com/tea"},
        vars={"no_such_var": 1},
    )

    # When it is checked, then each is told, and the exit code is that of the worst
    assert said.code == 4
    for text in (
        *("no_such_var", "custmer_name", '"Numbr"', "nosuch", '"Mial"', "articles.csv", "produkts", "127.0.0.1:9"),
        *("tabels", "TEA_CONTENT", "oracledb"),
    ):
        assert text in said.err, said.text
    assert "set tea: 11 mistakes" in said.out, said.text


def test_names_of_a_file_without_a_header_are_not_shown(folder: Path, check: Check) -> None:
    # Given a file without a header, whose first record is a person
    (folder / "inbox" / "people.csv").write_text(f"Ada Birch;{CANARY}@example.com\nBo Lind;bo@example.org\n")

    # When a mapping of it is checked, then no message shows the person
    said = check(crm=files(customers={"from": "people.csv", "columns": CUSTOMERS}))
    assert said.code == 4
    assert "has no column that the mapping reads" in said.err or "not found in any record" in said.err
    assert CANARY not in said.text
    assert "Birch" not in said.text


def test_a_field_that_the_first_records_lack_does_not_stop_a_run(
    folder: Path, check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a long file of JSON whose first records lack a required field, which later ones have
    records = [{"id": str(n), "mail": None} | ({} if n < 9_000 else {"number": str(n)}) for n in range(12_000)]
    (folder / "inbox" / "people.jsonl").write_text("\n".join(map(json.dumps, records)))
    table = {"from": "people.jsonl", "columns": {"customer_id": "number", "updated_at": "null"}}

    # When it is checked, then the mistake is told as what the first records show
    said = check(crm=files(customers=table))
    assert said.code == 4
    assert 'column "number" not found in any record' in said.err
    assert "The first records alone were looked at." in said.err

    # And before a run it is told, and does not stop it
    check_before_run(None, Path("shop.yml"))
    assert 'column "number" not found in any record' in capsys.readouterr().err


def test_a_column_that_later_records_may_fill_does_not_stop_a_run(
    folder: Path, check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a long file whose first records have no number in either of two columns, one of which does not exist
    rows = [f"{n if n > 9_000 else ''};a{n}" for n in range(12_000)]
    (folder / "inbox" / "people.csv").write_text("\n".join(["Number;Name", *rows]))
    columns = {"customer_id": "coalesce(Nmber, Number)", "full_name": "Name", "updated_at": "null"}

    # When a run starts, then the mistake is told, and does not stop it; without the other column it does
    assert check(crm=files(customers={"from": "people.csv", "columns": columns})).code == 4
    check_before_run(None, Path("shop.yml"))
    assert 'column "Nmber" not found in any record' in capsys.readouterr().err
    said = check("elt", crm=files(customers={"from": "people.csv", "columns": columns | {"customer_id": "Nmber"}}))
    assert (said.code, 'Did you mean "Number"?' in said.err) == (4, True)


@pytest.mark.parametrize("kind", ["sqlite", "parquet", "csv"])
def test_first_records_that_break_a_rule_do_not_stop_a_run(
    folder: Path, check: Check, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    # Given a table whose first hundred records have no valid address, and a thousand others that have one
    rows = [(str(n), "none" if n < 100 else "a@example.com") for n in range(1_100)]
    table = {"from": f"people.{kind}", "columns": {"customer_id": "id", "email": "mail"}}
    if kind == "sqlite":
        with closing(sqlite3.connect(folder / "shop.sqlite")) as database:
            database.execute("create table people (id text, mail text)")
            database.executemany("insert into people values (?, ?)", rows)
            database.commit()
        sources = {"crm": {"url": "sqlite:///shop.sqlite", "tables": {"customers": table | {"from": "people"}}}}
    elif kind == "parquet":
        columns = {"id": [one for one, _ in rows], "mail": [mail for _, mail in rows]}
        parquet.write_table(pa.table(columns), folder / "inbox" / "people.parquet")
        sources = {"crm": files(customers=table)}
    else:
        text = "\n".join(["id,mail", *(",".join(row) for row in rows)])
        (folder / "inbox" / "people.csv").write_text(text)
        sources = {"crm": files(customers=table)}

    # When a run starts, then it is told, and not stopped
    said = check(**sources)
    assert (said.code, "100 of the first 100 records would be quarantined" in said.err) == (4, True), said.text
    check_before_run(None, Path("shop.yml"))
    assert "100 of the first 100 records would be quarantined" in capsys.readouterr().err


def test_a_look_that_fails_in_itself_does_not_stop_a_run(
    folder: Path, check: Check, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a connector that raises what no code foresaw
    def fail(*_arguments: object) -> None:
        raise LookupError(CANARY)

    monkeypatch.setattr("flows.ingest.look.connect", fail)

    # When a run starts, then that is told without the text of the error, and the load may still succeed
    assert check(crm=customers()).code == 4
    check_before_run(None, Path("shop.yml"))
    printed = capsys.readouterr().err
    assert "unforeseen LookupError" in printed
    assert CANARY not in printed


def test_a_source_that_was_loaded_as_it_is_mapped_does_not_stop_a_run(
    folder: Path, check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a table that was loaded, and whose files are gone, like a host that is down for a while
    assert check(crm=customers()).code == 0
    sources, name = read_connections(Path("shop.yml")), TableName("crm", "customers")
    load_table(sources.sources["crm"], declared_contracts()[name], sources.folder.lake, run_id="a-run")
    (folder / "inbox" / "clients.csv").unlink()

    # When a run starts, then it is left to the load, which tries again; the check itself tells it
    check_before_run(None, Path("shop.yml"))
    assert "set tea is checked" in capsys.readouterr().err
    assert check(crm=customers()).code == 4

    # And a host that is down is told at once, for the first of its tables, and does not stop the run
    dead = {"url": "http://127.0.0.1:9", "tables": {"customers": {"from": "clients.csv", "columns": CUSTOMERS}}}
    said = check(crm=dead)
    check_before_run(None, Path("shop.yml"))
    printed = capsys.readouterr().err
    assert "127.0.0.1:9/clients.csv: ConnectError" in printed
    assert "set tea is checked" in printed

    # And under another mapping it stops the run
    said = check("elt", crm=customers(full_name="upper(Given)"))
    assert (said.code, "no file matches clients.csv" in said.err) == (4, True)


def test_elt_tells_the_same_mistakes_before_prefect_and_leaves_no_folder(folder: Path, check: Check) -> None:
    # Given a set with a mistake, and a set that the file does not hold
    sources = {"crm": customers(customer_id="Numbr")}
    for arguments, code, text in (
        ([], 4, 'Did you mean "Number"?'),
        (["--set", "coffee"], 2, "shop.yml holds no set 'coffee'; it holds tea"),
    ):
        # When elt is started
        said = check("elt", *arguments, **sources)

        # Then it ends with the mistake, before there is a data folder
        assert said.code == code
        assert text in said.err
        assert said.err.splitlines()[0].endswith("checking shop.yml")
        assert not (folder / "data").exists()


def test_a_check_imports_neither_prefect_nor_dbt_nor_a_driver_that_it_does_not_need(folder: Path, check: Check) -> None:
    # Given a set of files
    assert check(crm=customers()).code == 0
    script = (
        "import sys\n"
        "sys.argv = ['flows', 'check', '--connections', 'shop.yml']\n"
        "from flows.__main__ import main\n"
        "code = main()\n"
        "found = [name for name in ('prefect', 'dbt', 'pandas', 'httpx', 'sqlalchemy') if name in sys.modules]\n"
        "sys.exit(f'imported {found}' if found else code)\n"
    )

    # When it is checked by a process of its own, then what costs seconds to import is not imported
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=_environment(folder), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def _environment(folder: Path) -> dict[str, str]:
    return dict(os.environ) | {"PYTHONPATH": str(PROJECT), "ML_WAREHOUSE_DATA": str(folder / "data")}
