"""The recipes of CONTRIBUTING, followed literally in a copy of the project."""

import re
from pathlib import Path

import duckdb
import pytest
from support.copied_project import copy_project, type_in


@pytest.mark.proof
def test_the_recipes_for_a_source_and_a_table_of_ones_own_work_as_they_stand(tmp_path: Path) -> None:
    # Given a copy of the project, like a clone
    project = copy_project(tmp_path / "project")

    # When every shell block is pasted, one after the other
    blocks = re.findall(r"```sh\n(.*?)```", (project / "CONTRIBUTING.md").read_text(), re.DOTALL)
    walked = type_in(project, "\n".join(blocks))

    # Then every block succeeds, and the shop's figures are right
    assert walked.returncode == 0, walked.stdout + walked.stderr
    assert "crm.customers: 1 newly in quarantine" in walked.stdout
    with duckdb.connect(str((project / "data" / "tea" / "warehouse.duckdb").resolve()), read_only=True) as release:
        sales = release.execute(
            "select booked_date::varchar, net_sales_amount::varchar from finance.daily_sales order by all"
        ).fetchall()
        customers = release.execute("select customer_id from marketing.customer_360 order by all").fetchall()
    assert sales == [
        ("2026-01-05", "12.9000"),
        ("2026-01-06", "4.5000"),
        ("2026-01-07", "-3.9000"),
    ]
    assert customers == [("0007",), ("0008",)]
