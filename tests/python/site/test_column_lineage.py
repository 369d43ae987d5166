"""Column lineage: which columns of other tables a query makes each of its own columns of."""

import pytest

from flows.site.column_lineage import ROWS, UNKNOWN, schema_of, trace_columns

ORDERS, CLIENTS = ("shop", "core", "orders"), ("shop", "core", "clients")
SCHEMA = schema_of(
    {
        ORDERS: {"order_id": "bigint", "client_id": "bigint", "amount": "double", "days": "date[]"},
        CLIENTS: {"client_id": "bigint", "city": "varchar", "born": "date"},
    }
)


def traced(sql: str, *parameters: str) -> dict[str, set[str]]:
    """Return what was found, with `table.column` for each column that is read."""
    found = trace_columns(sql, SCHEMA, parameters)
    return {name: {f"{place[2]}.{column}" for place, column in reads} for name, reads in found.items()}


def test_a_column_is_followed_through_steps_joins_and_expressions() -> None:
    found = traced(
        """
        with spent as (select client_id, sum(amount) as total from shop.core.orders group by client_id),
        known as (select * from shop.core.clients where born is not null)
        select known.client_id, coalesce(spent.total, 0) / 2 as half, upper(city) || born as told
        from known left join spent on known.client_id = spent.client_id
        """
    )
    assert found["client_id"] == {"clients.client_id"}
    assert found["half"] == {"orders.amount"}
    assert found["told"] == {"clients.city", "clients.born"}


def test_what_decides_on_the_rows_is_told_apart_from_what_the_values_are_made_of() -> None:
    found = traced("select city from shop.core.clients where born > current_date")
    assert found == {"city": {"clients.city"}, ROWS: {"clients.born"}}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select order_id as x from shop.core.orders union all select client_id from shop.core.clients", "both"),
        ("select (select max(client_id) from shop.core.clients) + order_id as x from shop.core.orders", "both"),
        ("select x from (select unnest([order_id]) as x from shop.core.orders)", "one"),
        ("select row_number() over (order by order_id) as x from shop.core.orders", "one"),
        ("select len(list_filter(days, lambda day: day > current_date)) as x from shop.core.orders", "days"),
        ("select count(*) as x from shop.core.orders", "none"),
        ("with recursive x as (select 1 as x union all select x + 1 from x where x < 3) select x from x", "none"),
        ("select order_id * as_of as x from shop.core.orders", "one"),
        ("select days as x from shop.core.orders union by name select 1 as y, days as x from shop.core.orders", "days"),
        ("select count(*) over w as x from shop.core.orders window w as (partition by order_id)", "one"),
        ("select count(*) over w as x from shop.core.orders window w as (order by order_id, client_id)", "own"),
    ],
)
def test_columns_of_many_forms_are_followed(sql: str, expected: str) -> None:
    wanted = {"both": {"orders.order_id", "clients.client_id"}, "one": {"orders.order_id"}, "none": set()}
    wanted |= {"own": {"orders.order_id", "orders.client_id"}}
    assert traced(sql, "as_of")["x"] == {**wanted, "days": {"orders.days"}}[expected]


@pytest.mark.parametrize(
    "sql",
    [
        "select city, count(*) as clients from shop.core.clients group by all",
        "select distinct on (city) city, born from shop.core.clients",
        "select distinct on (place) city as place, born from shop.core.clients",
    ],
)
def test_groups_are_found_however_they_are_written(sql: str) -> None:
    assert traced(sql)[ROWS] == {"clients.city"}


def test_what_cannot_be_followed_says_so() -> None:
    # Given a table function, of whose columns the project says nothing, and SQL that is beyond the grammar
    found = trace_columns("select made.x, o.order_id from shop.core.orders as o, make_rows(3) as made", SCHEMA)
    assert UNKNOWN in found["x"]
    assert UNKNOWN not in found["order_id"]
    assert trace_columns("select from where", SCHEMA) == {}
