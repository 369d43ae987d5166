"""Replay: records that pass a fixed contract or mapping leave the quarantine, once, even after a kill at any step."""

import os
import shutil
import signal
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet
from support.flow_shop import CANARY, CLIENTS, SET, make_shop
from support.shop import ORDERS, Row, Shop
from typer.testing import CliRunner

from flows.__main__ import app
from flows.cli.report import summarise_replay
from flows.config.connections import read_connections
from flows.config.contract import contracts_of
from flows.core.errors import RunLocked
from flows.core.names import TableName
from flows.ingest.load import LoadResult, load_table
from flows.ingest.replay import replay_quarantine, replay_table
from flows.lake.counts import Counts
from flows.lake.quarantine import quarantined_rows
from flows.lake.raw import RawTable
from flows.orchestration.run_lock import run_lock
from flows.warehouse.dbt import Dbt

PROJECT = Path(__file__).parents[3]
STRICT = {
    **ORDERS,
    "quantity": {
        "data_type": "integer",
        "constraints": [{"type": "check", "name": "is_positive", "expression": "quantity > 0"}],
    },
}


def replay(shop: Shop) -> LoadResult:
    """Replay the table like the command, and check the counts."""
    result = replay_table(
        read_connections(shop.connections_file).sources[shop.name.source], shop.contract, shop.lake, run_id="a-replay"
    )
    assert result.counts.is_reconciled
    return result


def counted(result: LoadResult) -> tuple[int, int, int, int]:
    return result.counts.values()[:4]  # type: ignore[return-value]


def order(number: int, quantity: object, at: str = "2026-03-01 10:00:00", **further: object) -> Row:
    row = {"order_id": str(number), "customer": "Ada", "quantity": quantity, "price": "1.50", "updated_at": at}
    return row | further


@pytest.fixture
def strict(shop: Shop) -> Shop:
    """A shop whose contract refuses returns; its file of two orders and three returns was deleted after the load."""
    shop.declare(columns=STRICT, load="upsert", cursor="updated_at")
    shop.drop_rows("1.jsonl", [order(1, 1), order(2, 2), order(3, -3), order(4, -4), order(5, "many")])
    shop.load()
    shop.drop_rows("1.jsonl", [order(6, 6, "2026-03-02 10:00:00")])
    shop.load()
    return shop


def test_what_a_mended_contract_lets_pass_is_moved_and_the_rest_stays_with_todays_reasons(strict: Shop) -> None:
    # Given returns in quarantine
    assert [reasons for _, reasons in strict.quarantine()] == [
        ["quantity: is_positive"],
        ["quantity: is_positive"],
        ["quantity: is no integer"],
    ]
    before = RawTable(strict.lake, strict.name).last_commit()

    # When the contract accepts them, and a replay reads the quarantine without the source
    strict.declare(columns={**ORDERS, "quantity": "smallint"}, load="upsert", cursor="updated_at")
    first, second = replay(strict), replay(strict)

    # Then they are in the lake, in their own batch, at their old positions, and a second replay finds no record
    assert (counted(first), counted(second)) == ((3, 2, 1, 0), (1, 0, 1, 0))
    assert strict.rows("order_id", "quantity", "_batch", "_position", where="quantity < 0") == [
        ("3", -3, 3, "1.jsonl:3"),
        ("4", -4, 3, "1.jsonl:4"),
    ]
    assert [reasons for _, reasons in strict.quarantine()] == [["quantity: is no smallint"]]

    # And the watermark and its config_hash are unchanged: the next load reads the source from the start
    now = RawTable(strict.lake, strict.name).last_commit()
    assert (now["watermark"], now["config_hash"]) == (before["watermark"], before["config_hash"])
    assert strict.load().counts.known == 1
    assert "sales.orders: contract version 2: quantity integer → smallint, checks of quantity changed" in first.notes


def test_values_get_back_the_types_that_they_came_with(shop: Shop) -> None:
    # Given typed columns, an expression that fails on texts, and values that JSON alone would round
    shop.declare(columns={"id": "varchar", "price": "decimal(38, 10)", "tags": "varchar", "at": "timestamp",
                          "name": "varchar not null"}, key=["id"], load="append")  # fmt: skip
    shop.map(**{"from": "*", "columns": {"price": "cents * 0.01", "tags": "tags[1]"}})
    exact = Decimal("12345678901234567890.12345678")
    table = pa.table(
        {
            "id": ["1", "2"],
            "cents": pa.array([exact, Decimal("1.00000000")], pa.decimal128(28, 8)),
            "tags": [["a", "b"], None],
            "at": pa.array([1_700_000_000_000_001, None], pa.timestamp("us")),
            "name": pa.array([None, "x"]),
            "extra": pa.array([2**53 + 1, 1]),
        }
    )
    parquet.write_table(table, shop.exports / "1.parquet")
    assert shop.load().counts.quarantined == 1
    accepted = shop.rows("id", "price", "tags", '"at"', "extra")

    # When a column is no longer required
    shop.change(columns=tuple(column for column in shop.contract.columns if column.name != "name"))
    replay(shop)

    # Then the record equals a record that passed at first
    assert shop.rows("id", "price", "tags", '"at"', "extra", where="id = '1'") == [
        ("1", exact / 100, "a", datetime(2023, 11, 14, 22, 13, 20, 1), 2**53 + 1)
    ]
    assert len(shop.rows()) == len(accepted) + 1
    assert shop.quarantine() == []


def test_records_of_a_query_are_checked_as_it_yielded_them(shop: Shop) -> None:
    # Given a query that groups, and a group that breaks the contract
    shop.declare(columns=STRICT, load="append")
    shop.map(**{"from": "*", "query": "select _file, no as order_id, sum(n::int) as quantity from source group by all"})
    shop.drop("1.csv", "no,n\n1,2\n1,-5\n2,1\n")
    shop.load()

    # When the contract is fixed, then the group passes unchanged
    shop.declare(load="append")
    assert counted(replay(shop)) == (1, 1, 0, 0)
    assert sorted(shop.rows("order_id", "quantity")) == [("1", -3), ("2", 1)]

    # And a row of a query never counts as a record of the source, and a record never as a row
    shop.declare(columns=STRICT, load="append")
    shop.drop("2.csv", "no,n\n7,-7\n")
    shop.load()
    shop.map(**{"from": "*", "columns": {"order_id": "no", "quantity": "n"}})
    shop.drop("3.csv", "no,n\n8,-8\n")
    for path in (shop.exports / "1.csv", shop.exports / "2.csv"):
        path.unlink()
    shop.load()
    shop.declare(load="append")
    result = replay(shop)
    assert counted(result) == (1, 1, 0, 0)
    assert "sales.orders: 1 in quarantine do not have the columns that the mapping reads" in result.notes


def test_what_was_malformed_stays_as_it_came(shop: Shop) -> None:
    # Given a line with too few cells and one that is not UTF-8
    shop.drop("1.csv", b"order_id,quantity\n1,1\n2\n\xff,3\n")
    shop.load()
    before = shop.quarantine()
    assert len(before) == 2

    # When the contract is changed and replayed
    shop.declare(columns={"order_id": "varchar not null", "quantity": "bigint"}, load="append")
    result = replay(shop)

    # Then both stay in quarantine, and it is reported
    assert (counted(result), shop.quarantine()) == ((0, 0, 0, 0), before)
    assert "sales.orders: 2 in quarantine are malformed; fix them in the source" in result.notes


def test_what_is_known_leaves_the_quarantine_as_a_duplicate(shop: Shop) -> None:
    # Given quarantined events: one key twice, and one key that arrived again and passed
    shop.declare(columns=STRICT, load="append")
    shop.drop_rows("1.jsonl", [order(1, -1), order(2, -2), order(2, -9)])
    shop.load()
    shop.drop_rows("2.jsonl", [order(1, 7)])
    shop.load()

    # When the contract accepts them
    shop.declare(load="append")
    result = replay(shop)

    # Then the first arrival of each key stays, as in every load
    assert (counted(result), result.counts.conflicts) == ((3, 1, 0, 2), 2)
    assert shop.rows("order_id", "quantity") == [("1", 7), ("2", -2)]
    assert shop.quarantine() == []


@pytest.mark.parametrize(("load", "cursor"), [("full", None), ("upsert", None), ("upsert", "updated_at")])
def test_a_replayed_state_is_never_taken_for_newer_than_what_came_since(
    shop: Shop, load: str, cursor: str | None
) -> None:
    # Given a quarantined state whose key arrived again at the same time, and one whose key did not
    shop.declare(columns=STRICT, load=load, cursor=cursor)
    shop.drop_rows("1.jsonl", [order(1, -1), order(2, -2), order(3, 3)])
    shop.load()
    shop.drop_rows("1.jsonl", [order(1, 5), order(3, 3)])
    shop.load()

    # When the contract accepts them
    shop.declare(load=load, cursor=cursor)
    result = replay(shop)

    # Then the first stays in quarantine, since only its arrival would order it, and the other one is moved
    assert counted(result) == (2, 1, 1, 0)
    assert sorted(shop.rows("order_id", "quantity")) == [("1", 5), ("2", -2), ("3", 3)]
    assert [reasons for _, reasons in shop.quarantine()] == [
        ["its key came again since, so what it says is not the newest"]
    ]

    # And a full copy deletes the other one
    assert shop.load().counts.deleted == (1 if load == "full" else 0)


@pytest.mark.parametrize("load", ["full", "upsert"])
def test_fault_104_a_state_that_came_back_into_quarantine_is_moved(shop: Shop, load: str) -> None:
    """A state came back while its record broke the contract; a replay takes it for the newest: I."""
    # Given a key that was -1 and 5, and -1 again when the contract had become strict
    shop.declare(load=load)
    for quantity in (-1, 5):
        shop.drop_rows("1.jsonl", [{"order_id": "1", "quantity": quantity}])
        shop.load()
    shop.declare(columns=STRICT, load=load)
    shop.drop_rows("1.jsonl", [{"order_id": "1", "quantity": -1}])
    shop.load()

    # When the contract takes it, then it is the newest, once
    shop.declare(load=load)
    assert counted(replay(shop)) == (1, 1, 0, 0)
    assert counted(replay(shop)) == (0, 0, 0, 0)
    assert shop.rows("quantity", where="not _deleted") == [-1, 5, -1]


def test_a_load_under_a_mended_contract_lets_go_of_what_it_has_read_again(shop: Shop) -> None:
    # Given two quarantined returns, one of them from a deleted file
    shop.declare(columns=STRICT, load="upsert", cursor="updated_at")
    shop.drop_rows("1.jsonl", [order(1, 1), order(2, -2)])
    shop.drop_rows("2.jsonl", [order(3, -3), order(4, "many")])
    shop.load()
    (shop.exports / "1.jsonl").unlink()

    # When the contract is fixed and the source is loaded
    shop.declare(load="upsert", cursor="updated_at")
    load = shop.load()

    # Then records that were read again leave the quarantine, and the others are reported
    assert (counted(load), load.counts.known) == ((2, 1, 0, 0), 1)
    assert len(shop.quarantine()) == 2
    assert "sales.orders: 1 left the quarantine, the lake holds them now" in load.notes
    assert any("1 in quarantine pass now, and the source did not show them again" in note for note in load.notes)
    assert counted(replay(shop)) == (2, 1, 1, 0)
    assert sorted(shop.rows("order_id", "quantity")) == [("1", 1), ("2", -2), ("3", -3)]


def test_rows_of_the_first_load_are_a_backfill_still_when_they_are_replayed(strict: Shop) -> None:
    # Given returns of the first load, and one of a later load
    strict.drop_rows("2.jsonl", [order(8, -8, "2026-03-03 10:00:00")])
    strict.load()

    # When they are replayed, then each is a backfill or not, as before
    strict.declare(load="upsert", cursor="updated_at")
    replay(strict)
    assert strict.rows("order_id", "_is_backfill", where="quantity < 0") == [("3", True), ("4", True), ("8", False)]


def test_nothing_is_replayed_before_the_first_load_is_complete(shop: Shop) -> None:
    # Given a table that was never loaded
    shop.declare(columns=STRICT)
    shop.drop("1.csv", "nothing\n1\n")
    with pytest.raises(Exception, match="requires column"):
        shop.load()

    # When it is replayed, then no record is moved, and it is reported
    assert replay(shop).notes == ("sales.orders: its first load is not complete, nothing was replayed",)
    assert RawTable(shop.lake, shop.name).version is None


def test_a_table_that_nobody_declares_is_told(strict: Shop) -> None:
    # Given a quarantine, when another table is named, then the error lists the tables
    with pytest.raises(Exception, match=r"The quarantine holds sales\.orders"):
        replay_quarantine(
            read_connections(strict.connections_file), {strict.name: strict.contract}, TableName("sales", "nothing")
        )


def test_fault_05_what_a_dead_load_left_in_quarantine_does_not_count_because_of_a_replay(
    strict: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load died after its quarantine, and a replay took its batch number: the dead batch has no effect (I)."""

    # Given a load that dies before its commit
    def die(*_args: object, **_further: object) -> None:
        raise KeyboardInterrupt

    strict.drop_rows("2.jsonl", [order(7, "none", "2026-03-03 10:00:00")])
    with monkeypatch.context() as patched:
        patched.setattr(RawTable, "append", die)
        with pytest.raises(KeyboardInterrupt):
            strict.load()

    # When a replay commits the number of this batch, and the load starts again
    strict.declare(load="upsert", cursor="updated_at")
    assert counted(replay(strict)) == (3, 2, 1, 0)
    assert len(strict.quarantine()) == 1
    load = strict.load()

    # Then its record is quarantined once, by the second load
    assert (load.counts.quarantined, len(strict.quarantine())) == (1, 2)


# Crashes

SCRIPT = """
import os, sys
from pathlib import Path
import flows.ingest.replay
from support.shop import make_contract
from flows.config.connections import read_connections
from support.kills import Countdown, find, replace_everywhere

connections, lake = Path(sys.argv[1]), Path(sys.argv[2])
steps = Countdown()

for place in (
    "flows.lake.quarantine:write_quarantine", "flows.lake.file_ledger:record_files", "flows.lake.raw:RawTable.append",
    "flows.lake.quarantine:resolve", "flows.ingest.recheck:recheck", "flows.lake.ops:record_load",
):
    owner, name = find(place)
    replace_everywhere(owner, name, steps.around(getattr(owner, name)))

def run(where):
    flows.ingest.replay.replay_table(
        read_connections(connections).sources["sales"], make_contract(load="upsert", cursor="updated_at"),
        where, run_id="a-replay",
    )

for number in map(int, sys.argv[3:]):  # each in a child of its own: nothing here has touched a lake before
    child = os.fork()
    if child == 0:
        steps.killed_at = number
        run(lake.with_name(f"lake-{number}"))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
def test_fault_02_05_a_replay_killed_anywhere_and_begun_again_leaves_what_an_undisturbed_one_leaves(
    strict: Shop,
) -> None:
    """A replay was killed with SIGKILL at its steps, and started again (I)."""
    # Given a lake with quarantined returns in two forms, and its state after an undisturbed replay
    day = "2026-03-03 10:00:00"
    strict.drop_rows("2.jsonl", [order(21, -1, day, gift="yes"), order(22, "many", day, gift="no")])
    strict.load()
    steps = [2, 5, 7, 8, 10, 18, 21, 22]  # check, quarantine, files, commit and resolution, twice, and the record of it
    copies = [strict.lake.with_name(f"lake-{number}") for number in [*steps, 23]]
    for copy in copies:
        shutil.copytree(strict.lake, copy)
    strict.declare(load="upsert", cursor="updated_at")
    replay(strict)
    expected = state(strict, strict.lake)
    assert len(strict.rows(where="quantity < 0")) == 3

    # When a replay is killed before or after each of its steps
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests' / 'python'}"}
    arguments = [str(strict.connections_file), str(strict.lake), *map(str, [*steps, 23])]
    script = [sys.executable, "-c", SCRIPT, *arguments]
    killed = subprocess.run(script, env=environment, capture_output=True, text=True, cwd=PROJECT, timeout=100)
    assert killed.returncode == 0, killed.stderr
    assert killed.stdout.split() == [str(-signal.SIGKILL)] * len(steps) + ["0"], killed.stderr

    # Then a second replay leaves the same state
    for copy in copies:
        connection = read_connections(strict.connections_file).sources["sales"]
        replay_table(connection, strict.contract, copy, run_id="another")
        assert state(strict, copy) == expected, copy.name


def state(shop: Shop, lake: Path) -> object:
    """Return the state after a replay, without times and ids."""
    table = RawTable(lake, shop.name)
    rows = f"select * exclude (_batch, _row) from {table.stored(list(shop.contract.types))} order by all"
    left = f"select _raw, _reasons, _batch from {quarantined_rows(table)} order by all"
    return duckdb.sql(rows).fetchall(), duckdb.sql(left).fetchall(), table.batch


def test_the_command_prints_counts_and_the_next_step() -> None:
    # When a replay is summarised, then it reports the moved records, the remaining ones, and the next command
    load = LoadResult(TableName("sales", "orders"), "id", Counts(3, 2, 1, 0), 0.1, 3, ("sales.orders: a note",))
    text = summarise_replay([load], "--set demo")
    assert "sales.orders      3          2             1       0           0       0.1" in text
    assert "sales.orders: a note" in text
    assert text.endswith("-m flows elt --set demo")


@pytest.mark.slow
def test_the_command_replays_under_the_mapping_as_it_is_now(flow_home: Path, tmp_path: Path) -> None:
    # Given a source whose addresses do not fit its mapping, loaded once, and deleted since
    shop = make_shop(tmp_path / "shop", flow_home)
    shop.drop("clients-1.csv", CLIENTS, [["1", "ann at example.com", "DE", "2026-01-01 06:00"]])
    contract = contracts_of(Dbt.parse(shop.folder).manifest.sources.values())[TableName("crm", "customers")]
    sources = read_connections(shop.connections, SET)
    load_table(sources.sources["crm"], contract, shop.folder.lake, run_id="a-run")
    (shop.drops / "clients-1.csv").unlink()

    # When the mapping is fixed and a user types the command, during another run and after it
    said = yaml.safe_load(shop.connections.read_text())
    said[SET]["crm"]["tables"]["customers"]["columns"]["email"] = "replace(Mail, ' at ', '@')"
    shop.connections.write_text(yaml.safe_dump(said))
    typed = ["replay", "crm.customers", "--set", SET, "--connections", str(shop.connections)]
    with run_lock(shop.folder):
        refused = CliRunner().invoke(app, typed)
    done = CliRunner().invoke(app, typed)

    # Then the first is refused, and the second moves the record and says what to do next
    assert isinstance(refused.exception, RunLocked)
    assert done.exit_code == 0, done.exception
    assert "crm.customers      1          1             0       0           0" in done.output
    assert done.output.strip().endswith(f"-m flows elt --set {SET} --connections {shop.connections}")
    assert CANARY not in done.output
    stored = RawTable(shop.folder.lake, contract.name).stored(["customer_id", "email"])
    assert duckdb.sql(f"select customer_id, email from {stored}").fetchall() == [("1", "ann@example.com")]
