"""The project's features compiled by dbt, with a made-up model that declares every aggregate beside them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Warehouse

from flows.config.declared_features import features_of, models_of, unique_columns
from flows.learning.feature_check import CompiledGroup, compile_groups

MADE_UP = "made_up_events"
TYPES = {
    **{"card_id": "varchar", "shop_number": "integer", "event_id": "varchar", "order_id": "integer"},
    **{"happened_at": "timestamp", "arrived_at": "timestamp", "was_old": "boolean", "kind": "varchar"},
    **{"amount": "decimal(18, 4)", "pieces": "integer", "weight": "double", "is_fraud": "boolean", "day": "date"},
    **{"valid_from": "timestamp", "valid_to": "timestamp"},
}
KNOWN = {"event_id": "event_id", "event_time": "happened_at", "available_at": "arrived_at"}
EVERY = {
    "n": {"agg": "count", "windows": ["10m", "1d", "30d"]},
    "n_ever": {"agg": "count"},
    "n_amounts": {"agg": "count", "of": "amount", "windows": ["1d"]},
    "frauds": {"agg": "sum", "of": "is_fraud", "windows": ["7d"], "delay": "7d"},
    "fraud_share": {"agg": "avg", "of": "is_fraud", "windows": ["7d"], "delay": "7d"},
    "spend": {"agg": "sum", "of": "amount", "windows": ["10m", "30d"]},
    "spend_a": {"agg": "sum", "of": "amount", "windows": ["1d"], "where": "kind = 'a'"},
    "spend_avg": {"agg": "avg", "of": "amount", "windows": ["1d"], "closed": "right"},
    "spend_avg_ever": {"agg": "avg", "of": "amount"},
    "pieces": {"agg": "sum", "of": "pieces", "windows": ["1d"], "ttl": "10m"},
    "weight": {"agg": "sum", "of": "weight", "windows": ["1d"]},
    "weight_avg": {"agg": "avg", "of": "weight", "windows": ["30d"]},
    "weight_dev": {"agg": "stddev", "of": "weight", "windows": ["30d"]},
    "spend_dev": {"agg": "stddev", "of": "amount"},
    "least": {"agg": "min", "of": "amount", "windows": ["1d"]},
    "most": {"agg": "max", "of": "day"},
    "first_kind": {"agg": "first", "of": "kind", "windows": ["30d"]},
    "last_kind": {"agg": "last", "of": "kind", "ttl": "1d"},
    "last_kind_now": {"agg": "last", "of": "kind", "ttl": "1d", "closed": "right"},
    "kinds": {"agg": "count_distinct", "of": "kind", "windows": ["1d"]},
}
STATES = {"kind": {"of": "kind"}, "amount": {"of": "amount"}}


def described(values: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {**value, "description": "Made up."} for name, value in values.items()}


DECLARED: list[dict[str, Any]] = [
    {
        **KNOWN,
        **{"name": "card", "entity": ["card_id"], "available_delay": "1m", "lateness": "10m", "backfill": "was_old"},
        **{"values": described(EVERY)},
    },
    {
        **KNOWN,
        **{"name": "right", "entity": ["card_id", "shop_number"], "closed": "right", "where": "kind <> 'b'"},
        "event_id": ["event_id", "order_id"],
        **{"delay": "1d", "values": described({name: EVERY[name] for name in ("n", "spend", "least", "kinds")})},
    },
    {
        **KNOWN,
        **{"name": "through", "entity": "card_id", "available_delay": "1m"},
        "through": {"model": MADE_UP, "from": "order_id", "key": "pieces", "available_at": "arrived_at"},
        "values": described({name: EVERY[name] for name in ("n", "spend", "first_kind", "n_ever")}),
    },
    {
        **{"name": "state", "entity": ["card_id"], "valid_from": "valid_from", "valid_to": "valid_to"},
        "where": "kind <> 'b'",
        "values": described(STATES),
    },
]


def with_made_up(manifest: Manifest) -> Manifest:
    """Return the project with the made-up model."""
    return with_model(manifest, MADE_UP, TYPES, DECLARED)


def with_model(manifest: Manifest, name: str, types: Mapping[str, str], declared: list[dict[str, Any]]) -> Manifest:
    """Return the project with one more model, which declares features."""
    changed = manifest.deepcopy()
    node = changed.nodes["model.ml_warehouse.fct_payments"]
    content = node.to_dict(omit_none=True)
    unique_id = f"model.ml_warehouse.{name}"
    content |= {"name": name, "alias": name, "unique_id": unique_id}
    content["columns"] = {column: {"name": column, "data_type": kind} for column, kind in types.items()}
    made_up = type(node).from_dict(content)
    made_up.config.meta["features"] = declared
    changed.nodes[unique_id] = made_up
    changed.build_flat_graph()
    return changed


def compile_features(folder: Path, manifest: Manifest, models: Iterable[str] = ()) -> list[CompiledGroup]:
    """Compile the declared features of a project, or of some models alone."""
    warehouse = Warehouse(folder, manifest)

    def compile_sql(inline: str) -> str:
        result = warehouse.dbt(Lake(), "compile", "--inline", inline)
        assert result.success, result.exception
        return str(result.result.results[0].node.compiled_code)

    wanted = set(models)
    groups = [group for group in features_of(manifest) if not wanted or group.model in wanted]
    return compile_groups(groups, models_of(manifest), unique_columns(manifest), compile_sql)
