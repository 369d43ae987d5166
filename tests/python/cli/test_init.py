"""`init` writes an entry for a source by a look at it: never over another entry, and without secrets."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.command_line import Said, run_command
from support.rest_api import Asked, Serve, page

from flows.config.connections import read_connections
from flows.config.declared import declared_contracts
from flows.core.names import TableName
from flows.sources.proposals import propose_columns, propose_contract

pytest_plugins = ["support.rest_fixtures"]

SECRET = "hunter2-c4nary/x"
FILE = """# The sources of a shop.
tea:
  crm:
    url: file:inbox  # where they are

# Another one
coffee:
  web: {url: file:web}
"""

Init = Callable[..., Said]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ML_WAREHOUSE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("ML_WAREHOUSE_SET", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "own.yml").write_text(FILE)
    return tmp_path


@pytest.fixture
def init(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Init:
    def run(*arguments: str, command: str = "init") -> Said:
        return run_command(monkeypatch, capsys, command, *arguments, "--connections", "own.yml")

    return run


def test_one_kind_of_files_of_many_is_chosen(folder: Path, init: Init) -> None:
    # Given a folder of more kinds of files than are looked at
    for name in (f"kind_{'abcdefghij'[number % 10] * (1 + number // 10)}" for number in range(61)):
        (folder / "inbox" / f"{name}.csv").write_text("Foo\n1\n")

    # When none is chosen, then none is left out in silence
    said = init("file:inbox")
    assert (said.code, "The folder has 61 kinds of files" in said.err, "--from 'kind_" in said.err) == (2, True, True)

    # And one can be chosen, but not of a source that is one table
    assert "kind_b.csv has Foo; no contract has its name" in init("file:inbox", "--from", "kind_b.csv").err
    assert "The source is one table already" in init("file:inbox/kind_b.csv", "--from", "kind_b.csv").err


def test_an_entry_for_files_is_printed_and_then_written_and_checked(folder: Path, init: Init) -> None:
    # Given orders in several files, and a file that no contract is like
    for day in (1, 2):
        (folder / "inbox" / f"orders-2026-01-0{day}.csv").write_text("OrderID,customer,ordered_at,Total Sum\n1,2,x,3\n")
    (folder / "inbox" / "xyz.csv").write_text("Foo,Bar\n1,2\n")

    # When an entry is printed, then equal names and those with a word in common are proposed, the others are comments
    said = init("file:inbox")
    assert said.code == 0, said.text
    printed = said.out.partition("  xyz.csv")[0]
    assert yaml.safe_load(printed) == {
        "my_set": {
            "sales": {
                "url": "file:inbox",
                "tables": {
                    "orders": {"from": "orders*.csv", "columns": {"order_id": "OrderID", "customer_id": "customer"}}
                },
            }
        }
    }
    assert "# currency: ?" in printed
    assert "# taken by the same name: ordered_at" in printed
    assert "# the source has OrderID, customer, ordered_at, Total Sum" in printed
    assert "xyz.csv has Foo, Bar; no contract has its name. Name one: --as" in said.out
    assert (folder / "own.yml").read_text() == FILE

    # And when it is written to a set that is there, then nothing else of the file changes
    assert init("file:inbox", "--set", "tea").code == 0
    text = (folder / "own.yml").read_text()
    assert [line for line in FILE.splitlines() if line not in text.splitlines()] == []
    assert list(yaml.safe_load(text)["tea"]) == ["crm", "sales"]
    assert list(yaml.safe_load(text)) == ["tea", "coffee"]

    # And it is never written over
    said = init("file:inbox", "--set", "tea")
    assert (said.code, "own.yml has tea.sales already. Nothing was written." in said.err) == (2, True)
    assert (folder / "own.yml").read_text() == text

    # And a new set is appended, for one file and the contract that is named
    assert init("file:inbox/xyz.csv", "--set", "new", "--as", "shop.products").code == 0
    products = read_connections(folder / "own.yml", "new").sources["shop"].mapping("products")
    assert (products.origin, dict(products.columns)) == ("xyz.csv", {})

    # And a check says what is still to be filled
    said = init("--set", "new", command="check")
    assert (said.code, "the contract requires column 'product_id'" in said.err) == (4, True)


def test_tables_of_a_database_become_an_entry(folder: Path, init: Init) -> None:
    with closing(sqlite3.connect(folder / "crm.sqlite")) as database:
        database.execute('create table customers (customer_id text, "e-mail" text, "order" text, updated_at text)')
        database.execute("create view products as select 1 as product_id, 2 as label")
    assert init("sqlite:///crm.sqlite", "--set", "db").code == 0
    entry = yaml.safe_load((folder / "own.yml").read_text())["db"]
    assert entry["crm"]["tables"]["customers"]["columns"] == {"email": '"e-mail"'}
    assert list(entry["shop"]["tables"]) == ["products"]
    assert init("--set", "db", command="check").code == 0


def test_the_first_page_of_an_api_becomes_an_entry_without_its_secrets(
    folder: Path, init: Init, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an API that wants a token and a key, whose records and next link are within the response
    def answer(asked: Asked) -> Any:
        if asked.headers.get("authorization") != f"Bearer {SECRET}" or asked.params.get("api_key") != SECRET:
            return 401, {}, b"no"
        return page([{"order_id": "1", "customer": "2"}], paging={"next": "/v1/orders?page=2"})

    api = serve(answer)
    monkeypatch.setenv("SHOP_TOKEN", SECRET)
    url = f"{api.url}/v1/orders?status=done&api_key=hunter2-c4nary%2fx"  # as a server may write it

    # When it is surveyed, then the entry has its paths, and environment variables in place of secrets
    said = init(url, "--set", "web_shop", "--bearer", "SHOP_TOKEN")
    assert said.code == 0, said.text
    text = (folder / "own.yml").read_text()
    assert "c4nary" not in text + said.text
    sales = yaml.safe_load(text)["web_shop"]["sales"]
    assert sales["url"] == f"{api.url}/v1"
    assert sales["auth"] == {"bearer": "{{ env_var('SHOP_TOKEN') }}"}
    orders = sales["tables"]["orders"]
    assert orders["from"] == "/orders?status=done&api_key={{ env_var('WEB_SHOP_API_KEY') | urlencode }}"
    assert (orders["records"], orders["paging"]) == ("data", {"next": "paging.next"})
    assert orders["columns"] == {"customer_id": "customer"}
    assert "export WEB_SHOP_API_KEY=" in said.out


def test_a_password_gets_into_no_message_and_no_file(folder: Path, init: Init) -> None:
    said = init(f"postgresql://me:{SECRET.partition('/')[0]}@127.0.0.1:9/shop", "--set", "db")
    assert said.code == 4
    assert "127.0.0.1" in said.err
    assert "c4nary" not in said.text
    assert (folder / "own.yml").read_text() == FILE


def test_proposals_are_of_equal_names_or_of_a_common_word() -> None:
    contracts = declared_contracts()
    customers = contracts[TableName("crm", "customers")]
    proposed = propose_columns(customers, ["CustomerID", "E-Mail", "Phone Number", "Land", "id", "Registered_At"])
    assert proposed == {
        "customer_id": "CustomerID",
        "email": "E-Mail",
        "phone": "Phone Number",
        "registered_at": "Registered_At",
    }
    assert propose_contract("customers_2026", [], contracts) == customers.name
    assert propose_contract("export", ["order_id", "customer_id", "ordered_at"], contracts) == TableName(
        "sales", "orders"
    )
    assert propose_contract("export", ["a", "b"], contracts) is None
