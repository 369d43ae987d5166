"""Backfill: the records of an interval are read again from a source that is asked for what is new otherwise.

They go through mapping, contract, quarantine and ledger as those of any load do. A record that the lake has is known. A
change is a row of its own, which is known from now on. The watermark and the ledger of files stay as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from flows.config.connections import Connection, Connections
from flows.config.contract import Contract
from flows.config.variables import declared_variables
from flows.core.errors import UsageError, join_usage_errors
from flows.core.names import TableName, did_you_mean, identifier
from flows.core.relation import Relation
from flows.ingest.batch import check_batch, commit_batch
from flows.ingest.load import LoadResult, run_recorded
from flows.ingest.plan import LoadPlan, plan_load, take_contract, working_connection
from flows.ingest.progress import Progress
from flows.ingest.tables import tables_to_load
from flows.lake.check import Checked
from flows.lake.ops import was_loaded
from flows.sources import connect, is_stream
from flows.sources.batches import Connector, Request
from flows.sources.interval import TIMES, Interval, watermark_before
from flows.sources.lookups import load_lookups
from flows.sources.mapping import expect_columns, identity_of, mapped_cursor
from flows.sources.watermark import DAY

IN_INTERVAL = "records_in_interval"


def tables_to_backfill(
    sources: Connections, contracts: Mapping[TableName, Contract], selected: Sequence[str]
) -> tuple[list[TableName], list[str]]:
    """Return the tables that can be asked for an interval, all or the selected ones, and why others cannot.

    Raises UsageError for a selected table that the set does not load or that cannot be asked, and if none can.
    """
    wanted = {str(name): (name, connection) for name, connection in tables_to_load(sources, contracts)}
    mistakes = [
        UsageError(
            f"{name} is no table that the set {sources.name} loads.{did_you_mean(name, wanted)} Nothing was done.",
            f"It loads {', '.join(wanted)}.",
        )
        for name in selected
        if name not in wanted
    ]
    if mistakes:
        raise join_usage_errors(mistakes)
    refused = {
        text: reason
        for text in selected or wanted
        if (reason := why_not(wanted[text][1], contracts[wanted[text][0]], sources.folder.lake))
    }
    notes = [f"{name}: {reason}" for name, reason in refused.items()]
    if selected and refused:
        raise UsageError(f"{'; '.join(notes)}. Nothing was done.", "Leave it out of --select.")
    names = [wanted[text][0] for text in selected or wanted if text not in refused]
    if not names:
        raise UsageError(
            f"No table of the set {sources.name} can be asked for an interval. {'; '.join(notes)}.",
            f"Load what is new: python -m flows elt {sources.options}",
        )
    return names, notes


def zone_of(sources: Connections) -> str:
    """Return the name of a set's time zone, in which its days begin and end."""
    return str({**declared_variables(), **sources.variables}["business_time_zone"])


def why_not(connection: Connection, contract: Contract, lake: Path) -> str:
    """Say why a table cannot be asked for the records of an interval; empty if it can."""
    if is_stream(connection):
        return "a topic is read by its offsets, and has no days to ask for"
    plan = plan_load(connection, contract, lake)
    contract = plan.contract
    if contract.load == "full":
        return "each load reads all of it (load: full), so there is nothing to read again"
    if contract.cursor is None or contract.types[contract.cursor] not in TIMES:
        return "it has no cursor that is a time, by which an interval could be told"
    if plan.raw.version is None or not was_loaded(lake, contract.name):
        return "its first load is not complete; the next elt reads all of it"
    if not plan.is_of_last_load:
        return "its mapping or contract has changed since its last load; the next elt reads all of it"
    return ""


def backfill_table(
    connection: Connection,
    contract: Contract,
    lake: Path,
    *,
    run_id: str,
    interval: Interval,
    connector: Connector | None = None,
) -> LoadResult:
    """Read the records of a table again whose cursor lies in an interval, and record that as a load.

    Raises what a load raises. A backfill that was killed at any point is completed by running it again.
    """
    plan = plan_load(connection, contract, lake)
    return run_recorded(plan, run_id, _backfill(plan, connector, interval))


def _backfill(plan: LoadPlan, connector: Connector | None, interval: Interval) -> Iterator[Progress]:
    """Commit what is in the interval of each batch; in the order of the cursor, end with the batch after it."""
    with working_connection(plan) as (duck, work):
        plan, progress = take_contract(plan, duck)
        yield progress
        request = _request(plan, work, duck, interval)
        if plan.mapping.lookups:
            load_lookups(duck, plan.connection, plan.mapping, work)
        connector = connector or connect(plan.connection, plan.mapping)
        is_ordered = connector.runs_query and request.cursor is not None
        watermark, without_time = plan.watermark, 0
        for batch in connector.batches(duck, request):
            progress += Progress(messages=batch.notes)
            checked, seen = check_batch(plan, batch, query_in_source=connector.runs_query)
            inside = _in_interval(checked, plan.contract, interval)
            progress += seen
            without_time += checked.records.count(f"{identifier(str(plan.contract.cursor))} is null")
            is_end = is_ordered and _is_after(checked, plan.contract, interval)
            if inside.read + len(batch.rejected) > 0:
                progress += commit_batch(plan, replace(batch, files=(), watermark=watermark), inside)
                yield progress
            if is_end:
                break
    if without_time:
        text = f"{without_time:,} records without {plan.contract.cursor} belong to no day, and were left out"
        progress += Progress(messages=(f"{plan.contract.name}: {text}",))
    yield progress


def _request(plan: LoadPlan, work: Path, duck: duckdb.DuckDBPyConnection, interval: Interval) -> Request:
    """Ask for what is not older than the interval, by a day more; sources that cannot be asked so show all they have.

    Files are read whatever is known of them.
    """
    contract, mapping = plan.contract, plan.mapping
    begin = watermark_before(plan.watermark, interval, mapping)
    return Request(
        watermark=begin,
        cursor=mapped_cursor(mapping, contract.cursor),
        identity=identity_of(mapping, contract.key, contract.cursor),
        lookback=contract.lookback if begin is None else DAY,
        known_rows=lambda _file: None,
        work=work,
        columns=expect_columns(duck, mapping, contract.required),
    )


def _in_interval(checked: Checked, contract: Contract, interval: Interval) -> Checked:
    """Return the records, good and rejected ones, whose cursor lies in the interval."""
    column, kind = identifier(str(contract.cursor)), contract.types[str(contract.cursor)]
    query = f"from {checked.records} where {interval.holds(column, kind)}"
    records = Relation.table(checked.records.connection, IN_INTERVAL, query)
    return Checked(records, checked.extras, records.count())


def _is_after(checked: Checked, contract: Contract, interval: Interval) -> bool:
    """Tell whether a batch has records, and all of them come after the interval."""
    column, kind = identifier(str(contract.cursor)), contract.types[str(contract.cursor)]
    later = f"bool_and({interval.is_before(column, kind)}) filter ({column} is not null)"
    return bool(checked.records.connection.execute(f"select {later} from {checked.records}").fetchall()[0][0])
