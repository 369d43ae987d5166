"""Online Retail (UCI, doi.org/10.24432/C5BW33), loaded by connections.yml only: the same figures in each order of
files.
"""

import tarfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.flow_shop import clear

from flows.config.connections import read_connections
from flows.config.contract import contracts_of
from flows.config.settings import PROJECT, DataFolder
from flows.ingest.load import load_table
from flows.lake.counts import Counts
from flows.warehouse.dbt import Dbt

FILES = PROJECT.parent / "shared" / "data" / "online_retail"
SET = "online_retail"


@pytest.fixture
def home(flow_home: Path, shared_data: Path) -> Path:
    assert shared_data in FILES.parents
    clear(DataFolder(flow_home / SET))
    return flow_home


@pytest.mark.proof
@pytest.mark.usefixtures("unit_tests_passed_before")
def test_the_whole_archive_gives_the_counted_facts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given the archive of 305 files, mapped by connections.yml
    monkeypatch.setenv("ONLINE_RETAIL", str(FILES))

    # When it is loaded
    outcome = run()

    # Then all lines pass the contract, and the figures are those counted in the files
    lines = {str(load.table): load.counts for load in outcome.loads}["sales.order_lines"]
    assert (lines.read, lines.accepted, lines.quarantined, lines.known) == (541_909, 541_909, 0, 0)
    require_facts(home, outcome)


@pytest.mark.proof
@pytest.mark.usefixtures("unit_tests_passed_before")
def test_three_batches_with_files_sent_again_and_one_late_give_the_same_facts(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given the files of two thirds of the days, without one of them
    days = unpacked(tmp_path)
    late = days[100]
    drop = tmp_path / "drop"
    send(drop, [day for day in days[:200] if day != late])
    connections = tmp_path / "connections.yml"
    text = (PROJECT / "connections.yml").read_text().replace("by-day.tar.gz!*.csv", '"*.csv"')
    connections.write_text(text)
    monkeypatch.setenv("ONLINE_RETAIL", str(drop))
    run(connections)

    # When the other files arrive, ten known files under other names, and then the missing file
    send(drop, days[200:])
    for day in days[150:160]:
        (drop / f"again {day.name}").write_bytes(day.read_bytes())
    second = load_only(connections)
    send(drop, [late])
    third = run(connections)

    # Then repeated records are duplicates, and the figures are the same
    again = sum(row_count(day) for day in days[150:160])
    lines = second["sales.order_lines"]
    assert lines.known == sum(row_count(day) for day in days[:200] if day != late) + again
    require_facts(home, third)


def run(connections: Path = PROJECT / "connections.yml") -> Any:
    from flows.elt import elt  # reads Prefect's settings, which the tests set before

    return elt(SET, str(connections))


def load_only(connections: Path) -> dict[str, Counts]:
    """Load all tables without a build; return the counts of each."""
    from flows.ingest.tables import tables_to_load  # reads Prefect's settings, which the tests set before

    sources = read_connections(connections, SET)
    contracts = contracts_of(Dbt.parse(sources.folder).manifest.sources.values())
    return {
        str(name): load_table(connection, contracts[name], sources.folder.lake, run_id="second").counts
        for name, connection in tables_to_load(sources, contracts)
    }


def unpacked(place: Path) -> list[Path]:
    with tarfile.open(FILES / "by-day.tar.gz") as archive:
        archive.extractall(place / "unpacked", filter="data")
    return sorted((place / "unpacked").rglob("*.csv"))


def send(drop: Path, days: list[Path]) -> None:
    drop.mkdir(exist_ok=True)
    for day in days:
        (drop / day.name).write_bytes(day.read_bytes())


def row_count(day: Path) -> int:
    with duckdb.connect() as connection:
        relation = connection.read_csv(str(day), header=True, all_varchar=True)
        return len(relation.fetchall())


def require_facts(home: Path, outcome: Any) -> None:
    """Compare the published release with figures that were counted in the files."""
    with duckdb.connect(str((home / SET / "warehouse.duckdb").resolve()), read_only=True) as release:

        def one(sql: str) -> tuple[Any, ...]:
            return release.execute(sql).fetchall()[0]

        assert one(
            "select count(*), count(distinct order_id), count(distinct customer_id), count(distinct ship_country), "
            "sum(quantity * unit_price), count(*) filter (is_cancelled) from core.fct_order_lines"
        ) == (541_909, 25_900, 4_372, 38, Decimal("9747747.934"), 9_288)
        assert one(
            "select count(*) from core.fct_order_lines inner join core.dim_customer using (customer_key) "
            "where dim_customer.customer_id is null"
        ) == (135_080,)
        assert one(
            "select count(*), count(distinct customer_id), sum(quantity * unit_price) from core.fct_order_lines "
            "where not is_cancelled and quantity > 0 and unit_price > 0 and customer_id is not null"
        ) == (397_884, 4_338, Decimal("8911407.904"))
        assert one(
            "select count(*) filter (unit_price < 0), count(*) filter (unit_price = 0), count(*) filter (quantity < 0) "
            "from core.fct_order_lines"
        ) == (2, 2_515, 10_624)
        assert one(
            "select count(*) - count(distinct customer_id), count(distinct customer_id) filter (versions > 1) "
            "from (select *, count(*) over (partition by customer_id) as versions from core.dim_customer) "
            "where customer_id is not null"
        ) == (16, 8)
        assert one(
            "select count(*) from (select product_id from core.dim_product where product_name is not null "
            "group by product_id having count(*) > 1)"
        ) == (220,)
        assert one("select count(list_price) from core.dim_product") == (0,)
        assert one("select count(*) from core.dim_customer where contains(customer_id, '.')") == (0,)
        assert one("select sum(net_sales_amount) from finance.daily_sales") == (Decimal("9747747.934"),)
        assert one("select min(ordered_at)::varchar, max(ordered_at)::varchar from core.fct_order_lines") == (
            "2010-12-01 08:26:00",
            "2011-12-09 12:50:00",
        )
    warned = {result.node.name: result.failures for result in outcome.build.results if str(result.status) == "warn"}
    assert warned["fct_order_lines__lines_differ_within_an_order"] == 5_271
    assert warned["stg_shop__product_history__keys_differ_by_more_than_case"] == 112
    assert {
        "2 against «no price is negative»",
        "2,515 against «no price is zero»",
        "10,624 against «nothing was sent back»",
    } <= set(outcome.verdict.warnings)
