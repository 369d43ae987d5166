"""The hash of a configuration: which changes affect it, and that refactorings do not."""

from typing import Any

import pytest
from support.shop import ORDERS, Shop, make_contract

from flows.config.config_hash import hash_config, hash_derivation
from flows.config.contract import Contract

MAPPING = {"from": "*.csv", "columns": {"price": "Price", "customer": "Name"}, "paging": {"page": "p"}}
CONTRACT = make_contract(load="upsert", cursor="updated_at")


def hash_of(shop: Shop, contract: Contract = CONTRACT, **mapping: Any) -> str:
    shop.map(**mapping)
    return hash_config(shop.read_connection().mapping("orders"), contract)


def test_the_hash_is_the_one_of_every_version_to_come(shop: Shop) -> None:
    # Given users' configurations: if a new version changed their hashes, it would read every source again
    assert hash_of(shop, **MAPPING) == "00f77cf4cf59a6d0"
    derived = make_contract(derived={"by": "augmented_images", "of": "content.images", "seed": 7}).derivation
    assert derived is not None
    assert hash_derivation(derived, 1) == "acbc976dbdd00a98"


@pytest.mark.parametrize(
    "mapping",
    [
        dict(reversed(MAPPING.items())),
        {**MAPPING, "columns": dict(reversed(MAPPING["columns"].items()))},  # type: ignore[attr-defined]
        {**MAPPING, "time_zone": "UTC", "where": "", "method": "get"},
        {**MAPPING, "lookback": {"count": 3, "period": "day"}},
    ],
)
def test_order_and_defaults_and_lookback_do_not_count(shop: Shop, mapping: dict[str, Any]) -> None:
    assert hash_of(shop, **mapping) == hash_of(shop, **MAPPING)
    reordered = make_contract(
        columns=dict(reversed(ORDERS.items())), load="upsert", lookback={"count": 2, "period": "day"}
    )
    assert hash_of(shop, reordered, **MAPPING) == hash_of(shop, **MAPPING)


@pytest.mark.parametrize(
    "further",
    [
        {"from": "*.json"},
        {"where": "price > 0"},
        {"columns": {"price": "Price"}},
        {"load": "full"},
        {"cursor": "updated_at"},
        {"time_zone": "Europe/London"},
        {"records": "data"},
        {"paging": {"page": "p", "first": 0}},
        {"method": "post", "body": {"a": 1}},
    ],
)
def test_what_decides_which_records_are_read_changes_the_hash(shop: Shop, further: dict[str, Any]) -> None:
    assert hash_of(shop, **{**MAPPING, **further}) != hash_of(shop, **MAPPING)


@pytest.mark.parametrize(
    "said",
    [
        {"key": ["order_id", "customer"]},
        {"load": "append"},
        {"on_extra_column": "ignore"},
        {"future_tolerance": {"count": 2, "period": "day"}},
        {"columns": {**ORDERS, "quantity": "bigint"}},
        {"columns": {**ORDERS, "quantity": "integer not null"}},
    ],
)
def test_what_decides_which_records_are_accepted_changes_the_hash(shop: Shop, said: dict[str, Any]) -> None:
    changed = make_contract(**{"load": "upsert", "cursor": "updated_at", **said})
    assert hash_of(shop, changed, **MAPPING) != hash_of(shop, **MAPPING)
