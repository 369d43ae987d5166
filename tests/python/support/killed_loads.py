"""Loads in processes of their own, which can be killed at a step, and the state that a load leaves."""

from collections.abc import Callable
from functools import partial

import duckdb
from support.kills import Child, Ended, Point, set_constants
from support.shop import Shop

from flows.lake.delta import open_table, relation_of
from flows.lake.quarantine import quarantined_rows
from flows.lake.raw import RawTable

HEADER = "order_id,customer,quantity,price,updated_at\n"


def load_in_a_child(shop: Shop, at: Point | None = None, *breaks: Callable[[], None]) -> Ended:
    """Load in a process of its own, with one batch per two files, until it ends or is killed."""
    constants = {"flows.sources.files.table:FILES_A_BATCH": 2, "tempfile:tempdir": str(shop.folder)}
    call = (shop.read_connection(), shop.contract, shop.lake)
    child = Child(
        "flows.ingest.load:load_table", call, {"run_id": "a-run"}, (partial(set_constants, constants), *breaks)
    )
    ended = child.run(at)
    assert ended.was_killed or ended.error is None, ended.error
    return ended


def state(shop: Shop) -> object:
    """Return the state after a load, without times and ids."""
    kept = [f'"{name}"' for name in shop.contract.types] + ["_batch", "_row", "_position", "_deleted", "_is_backfill"]
    quarantined = duckdb.sql(
        f"select _raw, _reasons, _position, _batch from {quarantined_rows(RawTable(shop.lake, shop.name))}"
    )
    files = duckdb.sql(
        "select table_name, sha256, file_name, rows, _batch "
        f"from {relation_of(open_table(shop.lake / 'ops' / 'files'))}"
    )
    return shop.rows(*kept), sorted(map(repr, quarantined.fetchall())), sorted(files.fetchall())


def fill(shop: Shop) -> None:
    for number in range(6):
        bad = f"9{number},Eve,many,1.50,2026-03-01 12:00:00\n"
        good = "".join(f"{number}{n},Ada,{n},1.50,2026-03-0{1 + n} 10:00:00\n" for n in range(4))
        shop.drop(f"{number}.csv", HEADER + good + bad)
