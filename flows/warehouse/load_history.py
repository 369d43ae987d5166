"""The history of loads: each release adds the loads since the one before to the model `load_profiles`."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

from flows.core.clock import utc_now
from flows.core.files import FileState
from flows.warehouse.build import Build
from flows.warehouse.dbt import Dbt
from flows.warehouse.descriptions import LOAD_PROFILES
from flows.warehouse.node_states import present_relations
from flows.warehouse.profile_history import HISTORY_DAYS, history_tables

COLUMNS = {
    **{name: name for name in ("load_id", "run_id", "table_name", "started_at", "seconds", "outcome", "newest_at")},
    **{f"{name}_count": name for name in ("read", "accepted", "quarantined", "duplicate", "known", "deleted")},
    "conflict_count": "conflicts",
    "null_counts": "nulls",
}
"""The columns of the model, with those of the lake's record of loads."""


def with_loads(dbt: Dbt, build: Build, loads_since: Callable[[datetime], pa.Table]) -> Build:
    """Append the loads that its candidate does not have; return the build with the state of its file.

    `loads_since` gives the records of the loads that started at a time in UTC or later; it may lack columns. A
    candidate that was changed after its tests stays as it is, so that it is refused.
    """
    candidate = dbt.folder.candidate
    history = history_tables(dbt, build, [LOAD_PROFILES], present_relations(candidate)).get(LOAD_PROFILES)
    if history is None:
        return build
    first = utc_now() - timedelta(days=HISTORY_DAYS)
    loads = loads_since(first)
    columns = ", ".join(f"{name} as {column}" for column, name in COLUMNS.items() if name in loads.column_names)
    with duckdb.connect(str(candidate)) as database:
        database.register("loads", loads)
        database.execute(f"delete from {history} where started_at < $1", [first])
        database.execute(
            f"insert into {history} by name select {columns} from loads anti join {history} "
            "using (load_id, table_name) "
            "qualify row_number() over (partition by load_id, table_name order by started_at desc) = 1"
        )
        database.unregister("loads")
        database.execute("checkpoint")
    return replace(build, file=FileState.of(candidate))
