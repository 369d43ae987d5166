"""A climbing hall whose register has columns that no contract knows: they reach the dimensions by declaration."""

import json
from datetime import datetime

from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

ONLY = ("--select", "+customer_360", "+dim_product", "+dim_customer_as_known")
DECLARED = {
    "crm.customers": {
        "Grade": {"data_type": "varchar", "pii": "none"},
        "visits": {"data_type": "integer", "pii": "none"},
        "belayer": {"data_type": "varchar", "pii": "name"},
        "not_shown_yet": {"pii": "none"},
    },
    "shop.products": {"rope_metres": {"data_type": "decimal(9, 1)", "pii": "none"}},
}


def make_hall() -> Lake:
    """Two members, one of whom climbs better a month later, and a rope."""
    lake = Lake(
        extras={
            "crm.customers": {"grade": "varchar", "visits": "varchar", "belayer": "varchar"},
            "shop.products": {"rope_metres": "double"},
        }
    )
    ina = {
        "customer_id": "ina",
        "grade": "6a",
        "visits": "3",
        "belayer": "Uwe Stein",
        "updated_at": datetime(2026, 1, 1),
    }
    lake.load(
        datetime(2026, 1, 2),
        crm__customers=[ina, {"customer_id": "uwe", "updated_at": datetime(2026, 1, 1)}],
        shop__products=[{"product_id": "rope", "rope_metres": 60.0, "updated_at": datetime(2026, 1, 1)}],
    )
    lake.load(
        datetime(2026, 2, 2),
        crm__customers=[
            ina | {"grade": "6b", "updated_at": datetime(2026, 2, 1)},
            {"customer_id": "uwe", "_deleted": True},
        ],
    )
    return lake


def test_declared_columns_are_attributes_with_a_history(incremental: Warehouse) -> None:
    # Given a register with a grade, visits and the belayer's name beyond the contract, when they are declared
    incremental.build(make_hall(), *ONLY, "--vars", json.dumps({"extra_attributes": DECLARED}))

    # Then the dimension has each of their versions, typed, and the name is left out
    found = incremental.rows(
        "select customer_id, attributes, cast(valid_from as date)::varchar from core.dim_customer "
        "where customer_id is not null order by customer_id, valid_from"
    )
    assert [(who, text and json.loads(text), since) for who, text, since in found] == [
        ("ina", {"Grade": "6a", "visits": 3, "not_shown_yet": None}, "0001-01-01"),
        ("ina", {"Grade": "6b", "visits": 3, "not_shown_yet": None}, "2026-02-01"),
        ("uwe", {"Grade": None, "visits": None, "not_shown_yet": None}, "0001-01-01"),
        ("uwe", None, "2026-02-02"),
    ]
    assert incremental.rows("select attributes from marketing.customer_360") == [
        ('{"Grade":"6b","visits":3,"not_shown_yet":null}',)
    ]
    assert incremental.rows("select attributes from core.dim_product where product_id = 'rope'") == [
        ('{"rope_metres":60.0}',)
    ]
    assert incremental.rows("select count(*) from core.dim_customer where attributes like '%Uwe%'") == [(0,)]


def test_a_column_without_a_class_fails_the_build(incremental: Warehouse) -> None:
    # Given a declaration that does not say whether the column holds personal data
    declared = {"crm.customers": {"belayer": {"data_type": "varchar"}}}

    # When the dimension is built, then it fails and says what to add
    result = incremental.dbt(
        make_hall(),
        "run",
        "--select",
        "stg_crm__customer_history",
        "--vars",
        json.dumps({"extra_attributes": declared}),
    )
    assert not result.success
    assert "crm.customers, belayer does not say whether it holds personal data" in str(result.result[-1].message)


def test_without_a_declaration_there_are_no_attributes(manifest: Manifest, incremental: Warehouse) -> None:
    # Given the same register, when nothing is declared, then the dimension has the contract's columns alone
    incremental.build(make_hall(), *ONLY)
    assert incremental.rows("select distinct attributes from core.dim_customer") == [(None,)]
