"""The planted uplift is found in the orders, no other uplift is found, and the figures follow the textbooks."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats
from support.lake_by_hand import Lake, Warehouse

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures", "support.warehouse_fixtures"]


def results_of(pharmacy: "Pharmacy") -> dict[str, dict[str, Any]]:
    return {row["experiment_name"]: row for row in pharmacy.rows("from finance.experiment_results")}


def planted_in(pharmacy: "Pharmacy") -> dict[str, list[dict[str, Any]]]:
    """Return the planted control and treatment by experiment."""
    rows = sorted(pharmacy.planted("experiments"), key=lambda row: row["is_treatment"])
    return {
        name: [row for row in rows if row["experiment_name"] == name] for name in {r["experiment_name"] for r in rows}
    }


def test_the_planted_uplift_is_within_the_interval_and_none_is_found_where_none_is(pharmacy: "Pharmacy") -> None:
    results, planted = results_of(pharmacy), planted_in(pharmacy)
    assert results.keys() == planted.keys()
    for name, (control, treatment) in planted.items():
        # Given the planted share of customers who order only because of the treatment
        result = results[name]
        share = treatment["uplift_permille"] / 1000
        uplift = share * (1 - result["control_conversion_rate"])

        # Then the interval contains the uplift, and p is small only in the experiment with an uplift
        assert (result["variant"], result["control_variant"]) == (treatment["variant"], control["variant"])
        assert result["uplift_lower"] < uplift < result["uplift_upper"]
        assert (result["p_value"] < 0.01) == (share > 0)
        assert (result["uplift_lower"] > 0) == (share > 0)
        assert result["is_split_as_planned"]


def test_everyone_assigned_is_compared_waiting_or_left_out_for_the_planted_reason(pharmacy: "Pharmacy") -> None:
    counted = {
        (row["experiment_name"], row["participation"]): row["customers"]
        for row in pharmacy.rows(
            "select experiment_name, participation, count(*) as customers "
            "from finance.experiment_customers group by all"
        )
    }
    for name, variants in planted_in(pharmacy).items():
        # Given the assigned customers with a valid variant; then the mart counts them in the planted categories
        for participation, column in [
            ("contaminated", "contaminated_count"),
            ("unexposed", "unexposed_count"),
            ("removed", "removed_count"),
        ]:
            assert counted.get((name, participation), 0) == sum(row[column] for row in variants), participation
        in_all = sum(count for (experiment, _), count in counted.items() if experiment == name)
        assert in_all == sum(row["assigned_count"] for row in variants)


def test_figures_equal_those_of_scipy(pharmacy: "Pharmacy") -> None:
    for name, result in results_of(pharmacy).items():
        # Given the customers of an experiment
        rows = pharmacy.rows(f"from finance.experiment_customers where experiment_name = '{name}'")
        sides = [
            [row for row in rows if row["is_control"] is is_control and row["participation"] == "compared"]
            for is_control in (True, False)
        ]
        converted = [sum(row["is_converted"] for row in side) for side in sides]
        trials = [len(side) for side in sides]
        rates = [hits / of for hits, of in zip(converted, trials, strict=True)]

        # When the same figures are computed with scipy: rates, Newcombe's interval from two of Wilson's, and the pooled
        # test
        wilson = [
            stats.binomtest(hits, of).proportion_ci(method="wilson") for hits, of in zip(converted, trials, strict=True)
        ]
        uplift = rates[1] - rates[0]
        below = math.hypot(rates[1] - wilson[1].low, wilson[0].high - rates[0])
        above = math.hypot(wilson[1].high - rates[1], rates[0] - wilson[0].low)
        pooled = sum(converted) / sum(trials)
        z_score = uplift / math.sqrt(pooled * (1 - pooled) * (1 / trials[0] + 1 / trials[1]))
        expected = {
            "control_conversion_rate": rates[0],
            "conversion_rate": rates[1],
            "uplift": uplift,
            "uplift_lower": uplift - below,
            "uplift_upper": uplift + above,
            "relative_uplift": uplift / rates[0],
            "z_score": z_score,
            "p_value": 2 * stats.norm.sf(abs(z_score)),
        }
        # and Welch's interval, and the split of all counted customers
        amounts = [np.array([float(row["window_net_sales_amount"]) for row in side]) for side in sides]
        interval = stats.ttest_ind(amounts[1], amounts[0], equal_var=False).confidence_interval()
        counting = [
            sum(row["participation"] in ("compared", "waiting") and row["is_control"] is is_control for row in rows)
            for is_control in (True, False)
        ]
        split = stats.chisquare(counting)
        expected |= {"sample_ratio_chi_square": split.statistic, "sample_ratio_p_value": split.pvalue}

        # Then all figures are equal, and amounts to the fourth decimal
        assert {column: result[column] for column in expected} == pytest.approx(expected, rel=1e-7)
        assert (result["control_customer_count"], result["customer_count"]) == tuple(trials)
        for column, value in {
            "net_sales_amount_difference": amounts[1].mean() - amounts[0].mean(),
            "net_sales_amount_difference_lower": interval.low,
            "net_sales_amount_difference_upper": interval.high,
        }.items():
            assert float(result[column]) == pytest.approx(value, abs=1e-4), column


def test_tails_and_quantiles_are_as_near_to_scipys_as_their_descriptions_say(full: Warehouse) -> None:
    # Given the macros, compiled
    compiled: Any = full.dbt(
        Lake(),
        "compile",
        "--inline",
        "select {{ compute_normal_tail('z') }}, {{ compute_chi_square_tail('x', 'n') }}, "
        "{{ compute_student_quantile('n') }} from given",
    ).result
    query = compiled.results[0].node.compiled_code

    # When they are computed for all values of a range
    with full.connect() as warehouse:
        warehouse.execute(
            "create temp table given as select (1 + row_number() over () % 289) / 8.0 as z, x * 0.7 as x, n "
            "from range(1, 60) as xs (x), range(1, 16) as ns (n)"
        )
        z, x, n = (np.array(column) for column in zip(*warehouse.execute("from given").fetchall(), strict=True))
        found = warehouse.execute(query).fetchall()
    normal, chi_square, student = (np.array(column, dtype=float) for column in zip(*found, strict=True))

    # Then they are within the documented error
    assert normal == pytest.approx(stats.norm.sf(z.astype(float)), rel=1e-8)
    exact = n <= 9
    expected = stats.chi2.sf(x.astype(float), n)
    assert chi_square[exact] == pytest.approx(expected[exact], rel=1e-7)
    beyond = ~exact & (expected >= 0.001)
    assert chi_square[beyond] == pytest.approx(expected[beyond], rel=0.25)
    assert np.isnan(student[n < 3]).all()
    assert student[n >= 3] == pytest.approx(stats.t.ppf(0.975, n[n >= 3]), rel=0.00121)
    assert student[n >= 8] == pytest.approx(stats.t.ppf(0.975, n[n >= 8]), rel=0.00002)
