"""A tea shop in Sydney sets its time zone and its rules in files of its own, and the flow builds by them."""

import csv
import re
from datetime import date
from pathlib import Path

import pytest
import yaml
from support.flow_shop import SET, FlowShop, make_shop

from flows.core.names import TableName
from flows.lake.ops import made_of_releases
from flows.warehouse.releases import MadeOf, read_made_of

pytestmark = pytest.mark.slow


def write_rules(folder: Path, name: str, *rows: tuple[object, ...]) -> None:
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture
def sydney(tmp_path: Path, flow_home: Path) -> FlowShop:
    """A shop whose tills write UTC; it has two segments of customers, and Australia's holidays."""
    shop = make_shop(tmp_path / "sydney", flow_home)
    rules = tmp_path / "rules"
    columns = ("segment", "priority", "minimum_order_count", "maximum_order_count")
    write_rules(rules, "segment_rules", columns, ("regular", 1, 2, ""), ("guest", 2, "", ""))
    write_rules(rules, "holiday_rules", ("country", "holiday_name", "month", "day"), ("AU", "Australia Day", 1, 26))
    sources = yaml.safe_load(shop.connections.read_text())[SET]
    sources["sales"]["tables"]["orders"]["time_zone"] = "UTC"
    sources["rules"] = {"url": f"file:{rules}", "tables": {name: {"from": f"{name}.csv"} for name in TABLES}}
    sources["vars"] = {"business_time_zone": "Australia/Sydney", "default_conversion_window_days": 7}
    sources["publish"] = "parquet"
    shop.connections.write_text(yaml.safe_dump({SET: sources}))
    return shop


TABLES = ("segment_rules", "holiday_rules")


def test_a_set_is_built_by_its_own_vars_and_rules(
    sydney: FlowShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a day of sales from 08:15 to 19:15 in UTC, of which those from 13 o'clock on are of the next day in Sydney
    sydney.drop_day(25)

    # And an environment in which the user of a database is called like a table
    monkeypatch.setattr("flows.core.redaction._secrets", {"orders"})

    # When the flow builds the set; its unit tests prove the code by the project's own vars, and pass
    outcome = sydney.elt()
    assert outcome.release is not None

    # Then days, holidays and segments are the shop's own
    days = "select hour(ordered_at) >= 13, ordered_date, count(*) from core.fct_orders group by all order by all"
    assert [row[:2] for row in sydney.rows(days)] == [(False, date(2026, 1, 25)), (True, date(2026, 1, 26))]
    assert sydney.rows("select holiday_name from core.dim_holiday where country = 'AU'") == [("Australia Day",)]
    assert {row[0] for row in sydney.rows("select distinct segment from marketing.customer_360")} == {
        "guest",
        "regular",
    }

    # And the lake's record of the release names what the release's file names
    recorded = MadeOf.parse(made_of_releases(sydney.folder.lake)[outcome.release.name])
    stated = read_made_of(sydney.folder.warehouse.resolve())
    assert TableName("sales", "orders") in recorded.versions
    assert (recorded.versions, recorded.table_ids) == (stated.versions, stated.table_ids)
    assert (recorded.contents, recorded.variables) == (stated.contents, stated.variables)

    # And the marts are beside the release's file as Parquet, too
    sales = sydney.folder.warehouse.resolve().parent / "parquet" / "finance" / "daily_sales.parquet"
    assert sydney.rows(f"select count(*) from '{sales}'") == sydney.rows("select count(*) from finance.daily_sales")

    # And the page of a mart lists them
    page = (sydney.folder.docs.parent / "tables" / "marketing.customer_360.html").read_text()
    assert "<code>business_time_zone</code>: Australia/Sydney" in page
    assert re.search(r'the table <a href="../tables/\S+segment_rules.html"><code>segment_rules</code></a>', page)

    # When the shop changes a rule, then the next run builds by it
    write_rules(tmp_path / "rules", "segment_rules", ("segment", "priority"), ("anybody", 1))
    sydney.elt()
    assert sydney.rows("select distinct segment from marketing.customer_360") == [("anybody",)]
