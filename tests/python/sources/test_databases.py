"""PostgreSQL and MariaDB alike: one snapshot of all tables, servers that lock, stall or stop, and looks by a URL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import duckdb
import pytest
import yaml
from support.databases import VARIABLE
from support.shop import Shop, make_contract

from flows.config.connections import Connection, read_connections
from flows.core.errors import SourceFailed
from flows.core.names import TableName
from flows.ingest.load import load_table
from flows.ingest.look import look_at
from flows.sources.batches import Request
from flows.sources.snapshots import shared_snapshots
from flows.sources.sql import mysql
from flows.sources.sql import postgresql as adbc_postgresql
from flows.sources.survey import survey
from tests.services.mariadb import MariadbServer, mariadb
from tests.services.postgresql import PostgresqlServer, postgresql
from tests.services.server import PASSWORD

pytestmark = pytest.mark.services

Server = MariadbServer | PostgresqlServer
SERVERS = {"postgresql": postgresql, "mysql": mariadb}
TABLES = ("customers", "orders", "payments")


@pytest.fixture(scope="module", params=SERVERS)
def running(request: pytest.FixtureRequest) -> Iterator[Server]:
    with SERVERS[request.param]() as server:
        yield server


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, with three tables of one row each."""
    monkeypatch.setenv("CRM_PASSWORD", PASSWORD)
    for name in TABLES:
        running.execute(f"drop table if exists {name}; create table {name} (id int primary key, changed_at timestamp)")
        running.execute(f"insert into {name} values (1, '2026-03-01 10:00')")
    return running


@pytest.fixture
def tables(shop: Shop, server: Server) -> list[tuple[TableName, Connection]]:
    """The tables of the source `sales`, of which each is loaded from a watermark on."""
    text = yaml.safe_dump({"test": {"sales": {"url": server.url(VARIABLE)}}})
    shop.connections_file.write_text(text)
    connection = read_connections(shop.connections_file).sources["sales"]
    return [(TableName("sales", name), connection) for name in TABLES]


def load(shop: Shop, name: TableName, connection: Connection, connectors: Any) -> int:
    """Load a table, and return the number of rows that were new."""
    columns = {"id": "bigint not null", "changed_at": "timestamp"}
    contract = make_contract(str(name), columns, key=["id"], load="upsert", cursor="changed_at")
    result = load_table(connection, contract, shop.lake, run_id="a-run", connector=connectors.get(name))
    return result.counts.accepted


def test_all_tables_of_a_source_are_read_from_one_snapshot(
    shop: Shop, server: Server, tables: list[tuple[TableName, Connection]]
) -> None:
    # Given a transaction that adds a row to each table after the first one was read
    more = "; ".join(f"insert into {name} values (2, '2026-03-01 11:00')" for name in TABLES)
    with shared_snapshots(tables) as connectors:
        found = [load(shop, *tables[0], connectors)]
        server.execute(f"begin; {more}; commit")

        # When the others are read, and one of them twice, as after a failure
        found += [load(shop, *one, connectors) for one in (*tables[1:], tables[1])]

    # Then they are as they were when the first was read, and the next run reads the rest
    assert found == [1, 1, 1, 0]
    with shared_snapshots(tables) as connectors:
        assert [load(shop, *one, connectors) for one in tables] == [1, 1, 1]


def test_two_tables_are_read_at_a_time_from_one_snapshot(
    shop: Shop, server: Server, tables: list[tuple[TableName, Connection]], tmp_path: Path
) -> None:
    # Given a table that is being read, of which the first batch has come
    request = Request(None, "changed_at", ("id",), timedelta(0), lambda _: None, tmp_path)
    with shared_snapshots(tables) as connectors, duckdb.connect() as duck:
        batches = iter(connectors[tables[0][0]].batches(duck, request))
        next(batches)
        server.execute("insert into orders values (2, '2026-03-01 11:00')")

        # When another is loaded meanwhile, then both end, and the other one is of the same moment
        found: list[int] = []
        other = Thread(target=lambda: found.append(load(shop, *tables[1], connectors)))
        other.start()
        assert not list(batches)
        other.join(60)
    assert found == [1]


def test_a_row_that_was_committed_late_is_read_within_the_lookback(
    shop: Shop, server: Server, tables: list[tuple[TableName, Connection]]
) -> None:
    # Given a transaction that wrote a row before others, which were committed and read before it
    with server.uncommitted("insert into orders values (2, '2026-03-01 10:30')"):
        server.execute("insert into orders values (3, '2026-03-01 11:00')")
        assert load(shop, *tables[1], {}) == 2

    # When it is committed after that, then the next load reads its row, whose time lies before the watermark
    assert load(shop, *tables[1], {}) == 1
    assert load(shop, *tables[1], {}) == 0


def test_fault_50_a_snapshot_that_is_lost_is_not_replaced(
    shop: Shop, server: Server, tables: list[tuple[TableName, Connection]]
) -> None:
    """The server was restarted after one of three tables had been read: F, I."""
    with shared_snapshots(tables) as connectors:
        assert load(shop, *tables[0], connectors) == 1
        server.stop()
        server.start()
        server.execute("insert into orders values (2, '2026-03-01 11:00')")

        # When the others are read, then they fail, however often they are tried
        for at in (1, 1, 2):
            with pytest.raises(SourceFailed) as failure:
                load(shop, *tables[at], connectors)
        assert "the snapshot that the source's tables share is lost" in str(failure.value)
        assert not failure.value.is_transient

    # And the next run reads all of them, from a snapshot of its own
    with shared_snapshots(tables) as connectors:
        assert [load(shop, *one, connectors) for one in tables] == [0, 2, 1]


def test_fault_50_an_older_copy_of_a_database_is_not_taken_for_it(
    shop: Shop, server: Server, tables: list[tuple[TableName, Connection]]
) -> None:
    """A replica lagged behind the database that had been read before: F."""
    # Given a table that was read, and a replica without its newest rows
    server.execute("insert into orders values (2, '2026-03-02 10:00'), (3, '2026-03-05 10:00')")
    load(shop, *tables[1], {})
    server.execute("delete from orders where id = 3")

    # When it is read, then it is refused until it has caught up, and nothing is lost
    with pytest.raises(SourceFailed, match="older copy, such as a backup or a replica that lags") as failure:
        load(shop, *tables[1], {})
    assert failure.value.is_transient
    server.execute("insert into orders values (3, '2026-03-05 10:00'), (4, '2026-03-05 11:00')")
    assert load(shop, *tables[1], {}) == 1


def test_fault_49_a_server_that_stops_in_mid_load_is_worth_another_try(
    shop: Shop, server: Server, tables: list[tuple[TableName, Connection]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server was stopped while a table was being read, after some batches had been committed: I."""
    # Given a table of several batches, and a server that stops after the second one
    four = "(select 0 as d union select 1 union select 2 union select 3)"
    many = " cross join ".join(f"{four} as t{at}" for at in range(8))
    server.execute(
        "alter table orders add note text; insert into orders "
        f"select 1 + row_number() over (), '2026-03-01 10:00', repeat('x', 500) from {many}"
    )
    committed: list[int] = []

    def stop_after_some(*_: Any, **__: Any) -> None:
        committed.append(1)
        if len(committed) == 2:
            server.stop()

    # When it is loaded, then the failure may pass, and what was committed stays
    with monkeypatch.context() as patched:
        patched.setattr("flows.sources.arrow_batches.ROWS_A_BATCH", 10_000)
        patched.setattr("flows.sources.sql.postgresql.BYTES_A_FETCH", 10_000)
        patched.setattr("flows.ingest.batch.require_kept", stop_after_some)
        with pytest.raises(SourceFailed) as failure:
            load(shop, *tables[1], {})
    assert (failure.value.is_transient, failure.value.is_unreachable) == (True, False)
    assert 2 <= len(committed) < 7

    # When it is tried again, before and after the server is back
    with pytest.raises(SourceFailed, match="Connection refused") as failure:
        load(shop, *tables[1], {})
    assert (failure.value.is_transient, failure.value.is_unreachable) == (True, True)
    server.start()
    assert 0 < load(shop, *tables[1], {}) < 4**8

    # Then each row is there once
    shop.declare("sales.orders")
    assert sorted(shop.rows("id")) == list(range(1, 4**8 + 2))


def test_fault_49_a_table_that_is_locked_is_waited_for_and_then_worth_another_try(
    shop: Shop, server: Server, tables: list[tuple[TableName, Connection]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another session locked a table for longer than a load waits, which ended it: I."""
    # Given a snapshot of several tables, one of which is locked after another was read
    monkeypatch.setattr(
        adbc_postgresql, "SESSION", tuple(sql.replace("'60s'", "'100ms'") for sql in adbc_postgresql.SESSION)
    )
    monkeypatch.setattr(mysql, "LOCK_SECONDS", 1)
    with shared_snapshots(tables) as connectors:
        assert load(shop, *tables[0], connectors) == 1
        with server.locked("orders"), pytest.raises(SourceFailed, match=r"(lock timeout|Lock wait timeout)") as failure:
            load(shop, *tables[1], connectors)
        assert failure.value.is_transient

        # When it is tried again after that, then the snapshot is the same one, and all is read
        assert [load(shop, *one, connectors) for one in tables[1:]] == [1, 1]


@pytest.mark.parametrize("running", ["mysql"], indirect=True)
def test_fault_49_50_a_deadlock_ends_the_snapshot_and_no_other_is_read(
    shop: Shop, server: Server, tables: list[tuple[TableName, Connection]]
) -> None:
    """A load, and a change of two tables, each waited for what the other had, and the server ended the load: F, I."""
    # Given a snapshot of which one table was read, and a session that changes another, and then waits for that one
    with shared_snapshots(tables) as connectors, ThreadPoolExecutor() as pool:
        assert load(shop, *tables[2], connectors) == 1
        change = pool.submit(server.execute, "rename table orders to later, payments to older")
        server.wait_for("select count(*) from information_schema.processlist where state like 'Waiting for table%'")

        # When the other one is read, then the load is told, as one that may pass, and the change is made
        with pytest.raises(SourceFailed, match="Deadlock found") as failure:
            load(shop, *tables[1], connectors)
        assert failure.value.is_transient
        change.result(30)
        server.execute("rename table later to orders, older to payments")
        server.execute("insert into orders values (2, '2026-03-01 11:00')")

        # And at the next try it is not read from another moment than the first table
        with pytest.raises(SourceFailed, match="the snapshot that the source's tables share is lost"):
            load(shop, *tables[1], connectors)
    assert load(shop, *tables[1], {}) == 2


def test_fault_49_a_statement_that_takes_too_long_is_ended(
    shop: Shop, server: Server, tables: list[tuple[TableName, Connection]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query of a mapping ran for longer than a statement may, which ended it: I."""
    monkeypatch.setattr(
        adbc_postgresql, "SESSION", tuple(sql.replace("'6h'", "'300ms'") for sql in adbc_postgresql.SESSION)
    )
    monkeypatch.setattr(mysql, "STATEMENT_SECONDS", 1)
    sleep = "sleep(5)" if isinstance(server, MariadbServer) else "pg_sleep(5)"
    query = f"select id, changed_at, {sleep} as slept from orders"
    text = {"test": {"sales": {"url": server.url(VARIABLE), "tables": {"orders": {"query": query}}}}}
    shop.connections_file.write_text(yaml.safe_dump(text))
    connection = read_connections(shop.connections_file).sources["sales"]
    with pytest.raises(SourceFailed, match=r"(statement timeout|max_statement_time)") as failure:
        load(shop, tables[1][0], connection, {})
    assert failure.value.is_transient


def test_a_table_is_looked_at_and_a_database_is_surveyed_by_its_url(
    shop: Shop, server: Server, tables: list[tuple[TableName, Connection]]
) -> None:
    # Given the URL of a database, when it is surveyed, then its tables and columns are found
    found = survey(server.url(), {})
    assert [one.name for one in found.tables] == list(TABLES)
    assert list(found.tables[0].columns) == ["id", "changed_at"]

    # And a choice of tables, by which a database of many is looked at
    some = survey(server.url(), {}, [list(TABLES)[1]])
    assert [(one.name, one.origin) for one in some.tables] == [(list(TABLES)[1],) * 2]

    # And a password that is wrong is told of the source as a whole
    with pytest.raises(SourceFailed, match=r"^the source: .*(?s:.*)Look at the URL") as failure:
        survey(server.url("wrong"), {})
    assert failure.value.is_unreachable

    # When a table is looked at, as by check and preview, then its first records are shown
    columns = {"id": "bigint not null", "changed_at": "timestamp"}
    with look_at(tables[1][1], make_contract("sales.orders", columns, key=["id"]), 10) as look:
        assert (look.records.count(), look.shows_names) == (1, True)
