"""Loads as Prefect tasks: several at a time, tried again if only the outside has failed."""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import wait

from flows.config.connections import Connection
from flows.config.contract import Contract
from flows.core.errors import SourceFailed, WarehouseError
from flows.core.names import TableName
from flows.core.redaction import scrub
from flows.core.unforeseen import exceptions_named
from flows.ingest.load import LoadResult
from flows.orchestration.failures import failed
from flows.sources import require_connectors
from flows.sources.snapshots import shared_snapshots

logger = logging.getLogger(__name__)


def run_loads(
    wanted: Iterable[tuple[TableName, Connection]],
    contracts: Mapping[TableName, Contract],
    loading: Callable[..., LoadResult],
    loads: list[LoadResult],
) -> Mapping[TableName, BaseException]:
    """Load tables, several at a time, and add what each has loaded, failed ones too; return the failures by table.

    `loading` is called with a connection, a contract and a connector.
    """
    wanted = list(wanted)
    for connection in {one.source: one for _, one in wanted}.values():
        connection.require_environment()
    require_connectors(wanted)
    with shared_snapshots(wanted) as connectors:
        futures = [
            load.submit(str(name), partial(loading, one, contracts[name], connector=connectors.get(name)))
            for name, one in wanted
        ]
        wait(futures)
    results = [future.state.result(raise_on_failure=False) for future in futures]
    failures = {
        name: result if isinstance(result, BaseException) else RuntimeError(str(result))
        for (name, _), future, result in zip(wanted, futures, results, strict=True)
        if not future.state.is_completed()
    }
    done = [result if isinstance(result, LoadResult) else getattr(result, "committed", None) for result in results]
    loads += [result for result in done if isinstance(result, LoadResult)]
    for failure in [*failures.values()][1:]:  # its own task has told all of it
        logger.error("%s", scrub(str(failure)).partition("\n")[0])
    return failures


def is_transient(_task: object, _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a failed load is worth another try: only the outside heals by itself."""
    failure = state.result(raise_on_failure=False)
    return isinstance(failure, SourceFailed) and failure.is_transient


@task(
    name="load",
    task_run_name="load {table}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_condition_fn=is_transient,
)
def load(table: str, call: Callable[[], LoadResult]) -> LoadResult:
    """Extract a table, check it against its contract and commit what is new to the lake."""
    try:
        with exceptions_named(table):
            result = call()
    except WarehouseError as error:
        return cast(LoadResult, failed(error))
    logger.info("%s: %s read = %s", table, f"{result.total.read:,}", result.total)
    return result
