"""The transformation macros against scikit-learn and pandas, on random data and on very few data."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from dbt.contracts.graph.manifest import Manifest
from sklearn.impute import SimpleImputer
from sklearn.model_selection import PredefinedSplit
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from support.lake_by_hand import Lake, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

NUMBERS = ("x", "y")
SCALERS = {"standard": StandardScaler, "robust": RobustScaler, "min_max": MinMaxScaler}
SMOOTHING: tuple[Any, ...] = ("auto", 0, 10)

MACROS = {
    **{
        f"fit {method}": f"{{{{ fit_scaler('sample', ['x', 'y'], method='{method}', where='is_training', time='t') }}}}"
        for method in SCALERS
    },
    **{
        f"scale {method}": f"""select row_id,
        {{{{ scale('x', 'parameters', method='{method}') }}}} as x,
        {{{{ scale('sample.y', 'parameters', method='{method}') }}}} as y from sample"""
        for method in SCALERS
    },
    "fit median": "{{ fit_imputer('sample', ['x', 'y'], where='is_training') }}",
    "impute median": """select row_id, {{ impute_median('x', 'parameters') }} as x,
        {{ impute_median('y', 'parameters') }} as y, {{ flag_missing('x') }} as is_missing from sample""",
    "impute constant": "select row_id, {{ impute_constant('y', '-1.5') }} as y from sample",
    "impute last": """select row_id, {{ impute_last('x', ['t', 'row_id'], partition_by='g') }} as filled,
        {{ impute_last('x', ['t', 'row_id'], partition_by=['g'], within='3h') }} as filled_within from sample""",
    "fit categories": "{{ fit_categories('sample', ['c', 'category'], where='is_training') }}",
    "encode": """select row_id, {{ encode_one_hot('c', 'categories') }} as one_hot,
        {{ encode_frequency('c', 'categories') }} as c, {{ encode_frequency('category', 'categories') }} as category
        from sample""",
    **{
        f"fit target {smoothing}": f"""{{{{ fit_target_encoder(
            'sample', ['c', 'category'], 'label', smoothing='{smoothing}', where='is_training'
        ) }}}}"""
        for smoothing in SMOOTHING
    },
    "encode target": """select row_id, {{ encode_target('c', 'encodings') }} as c,
        {{ encode_target('category', 'encodings') }} as category from sample""",
    **{
        f"out of fold {smoothing}": f"""{{{{ encode_target_out_of_fold(
            'sample', 'row_id', ['c', 'category'], 'label', fold_count=4, smoothing='{smoothing}'
        ) }}}}"""
        for smoothing in SMOOTHING
    },
    "fold by group": "select distinct g, {{ assign_fold('g', 4) }} as fold from sample",
    **{
        f"fit {method} buckets": f"""{{{{ fit_buckets(
            'sample', ['x', 'y'], 5, method='{method}', where='is_training'
        ) }}}}"""
        for method in ("quantile", "uniform")
    },
    "fit ten buckets": "{{ fit_buckets('sample', ['x'], 10, method='uniform') }}",
    "bucket left": """select row_id,
        {{ bucket('x', 'buckets') }} as x, {{ bucket('y', 'buckets') }} as y from sample""",
    "bucket right": """select row_id, {{ bucket('x', 'buckets', closed='right', outside='null') }} as x from sample""",
    "bucket by edges": """select row_id,
        {{ bucket_by_edges('x', [-1, 0, 2, 3]) }} as clipped,
        {{ bucket_by_edges('x', [-1, 0, 2, 3], closed='right', outside='null') }} as cut from sample""",
    "roll by rows": """select row_id,
        {% for aggregate in ['sum', 'count', 'min', 'max', 'avg', 'stddev_samp'] %}
        {{ roll_by_rows(aggregate, 'x', 3, ['t', 'row_id'], partition_by='g') }} as {{ aggregate }}_of_x,
        {% endfor %}
        {{ lag_by_rows('x', 2, ['t', 'row_id'], partition_by='g') }} as lagged from sample""",
    "lag by time": """select row_id, {{ lag_by_time('x', '3h', 't', partition_by='g') }} as lagged from sample""",
    "smooth": """select row_id,
        {{ smooth_by_median('x', 'epoch_us(t)', 1e18, over='of_group') }} as centred_median,
        {{ smooth_by_median('x', 'epoch_us(t)', 1e18, over='of_group', reach=4, ahead=false) }} as median,
        {{ smooth_by_average('x', 5, ['t', 'row_id'], partition_by='g', centred=true) }} as centred_average,
        {{ smooth_by_average('x', 4, ['t', 'row_id'], partition_by='g') }} as average
        from sample window of_group as (partition by g order by t, row_id)""",
    **{
        f"smooth exponentially {alpha}": f"""select row_id, x_smoothed from ({{{{ smooth_exponentially(
            'sample', 'x', {alpha}, ['t', 'row_id'], partition_by='g'
        ) }}}})"""
        for alpha in (0.05, 0.9)
    },
}

Run = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> dict[str, str]:
    """All macro calls as SQL, compiled by dbt in one run."""
    warehouse = Warehouse(tmp_path_factory.mktemp("macros") / "rendering", manifest)
    inline = "".join(f"\n-- case: {name}\n{call}" for name, call in MACROS.items())
    result = warehouse.dbt(Lake(), "compile", "--inline", inline)
    assert result.success, result.exception
    compiled = result.result.results[0].node.compiled_code
    parts = [part.partition("\n") for part in compiled.split("-- case: ")[1:]]
    return {name: sql for name, _, sql in parts}


@pytest.fixture
def run(rendered: dict[str, str]) -> Run:
    """Run a macro call on tables given by name; rows with a row_id are sorted by it."""

    def run(name: str, **tables: pd.DataFrame) -> pd.DataFrame:
        with duckdb.connect(config={"threads": 2}) as connection:
            for table, rows in tables.items():
                connection.register(table, rows)
            found = connection.execute(rendered[name]).df()
        return found.sort_values("row_id").set_index("row_id") if "row_id" in found else found

    return run


def make_sample(rows: int, seed: int = 0) -> pd.DataFrame:
    """Make rows with nulls, ties, a constant, rare categories, and repeated times."""
    chance = np.random.default_rng(seed)
    x = np.round(chance.normal(1, 2, rows), 1)
    return pd.DataFrame(
        {
            "row_id": np.arange(rows),
            "x": np.where(chance.random(rows) < 0.2, np.nan, x),
            "y": chance.exponential(1000, rows),
            "g": chance.choice(["g1", "g2", "g3"], rows),
            "c": chance.choice(np.array(["a", "b", "bb", "C", "", None], dtype=object), rows),
            "category": chance.choice(np.array(["k1", "k2", "k3", "k4"], dtype=object), rows, p=[0.6, 0.3, 0.08, 0.02]),
            "label": chance.integers(0, 2, rows) + 1000.0,
            "t": pd.Timestamp("2026-01-01") + pd.to_timedelta(chance.integers(0, 20 * rows + 1, rows), unit="min"),
            "is_training": np.arange(rows) < max(1, rows * 2 // 3),
        }
    ).astype({"x": float, "y": float, "c": "string", "g": "string", "category": "string", "label": float})


def make_samples() -> dict[str, pd.DataFrame]:
    usual = make_sample(400)
    return {
        "usual": usual,
        "constant": usual.assign(x=0.1, y=1e9 + 0.1),
        "few values": usual.assign(x=usual.row_id % 2.0, y=usual.row_id % 3 * 1e-3),
        "one row": make_sample(1).assign(x=3.5),
        "unknown": usual.assign(x=np.nan),
    }


SAMPLES = make_samples()
samples = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES.keys())


def by_time(sample: pd.DataFrame) -> pd.DataFrame:
    return sample.sort_values(["t", "row_id"])


def same(found: Any, expected: Any, tolerance: float = 1e-9, rounding: float = 1e-12) -> None:
    """Compare numbers, including nulls; `rounding` is the tolerance for differences of large numbers."""
    np.testing.assert_allclose(
        np.asarray(pd.Series(found), dtype=float), np.asarray(pd.Series(expected), dtype=float), tolerance, rounding
    )


@samples
@pytest.mark.parametrize("method", SCALERS)
def test_a_column_is_scaled_as_scikit_learn_scales_it(run: Run, sample: pd.DataFrame, method: str) -> None:
    # Given parameters fitted on the training rows only
    parameters = run(f"fit {method}", sample=sample)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scaler = SCALERS[method]().fit(sample[sample.is_training][list(NUMBERS)])

    # When all rows are scaled
    scaled = run(f"scale {method}", sample=sample, parameters=parameters)

    # Then they are equal to scikit-learn's result
    for column, expected in zip(NUMBERS, scaler.transform(sample[list(NUMBERS)]).T, strict=True):
        same(scaled[column], expected, rounding=1e-12 + 1e-14 * sample[column].abs().max())
    assert set(parameters["row_count"]) == {sample.is_training.sum()}
    assert list(parameters["missing_count"]) == list(sample[sample.is_training][list(NUMBERS)].isna().sum())
    assert set(parameters["latest_row_at"]) == {sample[sample.is_training]["t"].max()}


@samples
def test_what_is_missing_becomes_the_trainings_median(run: Run, sample: pd.DataFrame) -> None:
    parameters = run("fit median", sample=sample)
    imputed = run("impute median", sample=sample, parameters=parameters)
    imputer = SimpleImputer(strategy="median", keep_empty_features=False)
    imputer.fit(sample[sample.is_training][["y"]])
    same(imputed["y"], imputer.transform(sample[["y"]])[:, 0])
    same(imputed["x"], sample["x"].fillna(sample[sample.is_training]["x"].median()))
    assert list(imputed["is_missing"]) == list(sample["x"].isna())


@samples
def test_what_is_missing_becomes_a_constant(run: Run, sample: pd.DataFrame) -> None:
    imputed = run("impute constant", sample=sample)
    imputer = SimpleImputer(strategy="constant", fill_value=-1.5)
    same(imputed["y"], imputer.fit_transform(sample[["y"]])[:, 0])


@samples
def test_the_last_known_value_fills_a_gap_within_its_group_and_age(run: Run, sample: pd.DataFrame) -> None:
    filled = run("impute last", sample=sample)
    ordered = by_time(sample)
    same(filled["filled"], ordered.groupby("g")["x"].ffill().sort_index())

    known_at = ordered["t"].where(ordered["x"].notna()).groupby(ordered["g"]).ffill()
    within = ordered.groupby("g")["x"].ffill().where(ordered["t"] - known_at <= pd.Timedelta("3h"))
    same(filled["filled_within"], within.sort_index())


@samples
def test_categories_are_encoded_as_scikit_learn_and_pandas_encode_them(run: Run, sample: pd.DataFrame) -> None:
    training = sample[sample.is_training]
    known = sorted(training["c"].dropna().unique())
    categories = run("fit categories", sample=sample)
    encoded = run("encode", sample=sample, categories=categories)

    fitted = categories[categories["column_name"] == "c"].sort_values("category_number")
    assert list(fitted["category"]) == known
    if known:
        given = sample[["c"]].astype(object).where(sample[["c"]].notna(), None)
        one_hot = OneHotEncoder(categories=[known], handle_unknown="ignore", sparse_output=False)
        expected = one_hot.fit(pd.DataFrame({"c": known}, dtype=object)).transform(given)
        assert [list(vector) for vector in encoded["one_hot"]] == expected.tolist()
    for column in ("c", "category"):
        shares = training[column].value_counts(normalize=True)
        expected = sample[column].map(shares).astype(float).fillna(0).where(sample[column].notna())
        same(encoded[column], expected)


def as_objects(sample: pd.DataFrame) -> pd.DataFrame:
    columns = sample[["c", "category"]].astype(object)
    return columns.where(columns.notna(), None)


@samples
@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_a_target_is_encoded_as_scikit_learn_encodes_it(run: Run, sample: pd.DataFrame, smoothing: Any) -> None:
    encodings = run(f"fit target {smoothing}", sample=sample)
    encoded = run("encode target", sample=sample, encodings=encodings)
    training = sample.is_training
    encoder = TargetEncoder(target_type="continuous", smooth=smoothing)
    expected = encoder.fit(as_objects(sample)[training], sample["label"][training]).transform(as_objects(sample))
    for column, values in zip(("c", "category"), expected.T, strict=True):
        same(encoded[column], values)


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_out_of_fold_encodings_are_scikit_learns_on_the_same_folds(run: Run, smoothing: Any) -> None:
    sample = SAMPLES["usual"]
    encoded = run(f"out of fold {smoothing}", sample=sample)
    folds = PredefinedSplit(encoded["fold"])
    encoder = TargetEncoder(target_type="continuous", smooth=smoothing, cv=folds)
    expected = encoder.fit_transform(as_objects(sample), sample["label"])
    for column, values in zip(("c", "category"), expected.T, strict=True):
        same(encoded[f"{column}_target"], values)
    assert encoded["fold"].value_counts().between(60, 140).all()


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_no_label_reaches_the_encoding_of_its_own_row(run: Run, smoothing: Any) -> None:
    # Given encodings, and the same rows with very different labels in one fold
    sample = SAMPLES["usual"]
    encoded = run(f"out of fold {smoothing}", sample=sample)
    for fold in range(4):
        own = encoded["fold"].to_numpy() == fold
        changed = run(f"out of fold {smoothing}", sample=sample.assign(label=sample["label"].mask(own, 500.0)))

        # Then the encodings of that fold are the same, and the others differ
        for column in ("c_target", "category_target"):
            same(changed[column][own], encoded[column][own])
            assert not np.allclose(changed[column][~own], encoded[column][~own])

        # And rows without a label get the encoding of the other rows
        unlabelled = run(f"out of fold {smoothing}", sample=sample.assign(label=sample["label"].mask(own)))
        same(unlabelled["c_target"][own], encoded["c_target"][own])


def test_a_fold_holds_all_rows_of_a_key(run: Run) -> None:
    assert run("fold by group", sample=SAMPLES["usual"])["g"].is_unique


@samples
@pytest.mark.parametrize("method", ["quantile", "uniform"])
def test_buckets_are_those_of_scikit_learn(run: Run, sample: pd.DataFrame, method: str) -> None:
    buckets = run(f"fit {method} buckets", sample=sample)
    numbered = run("bucket left", sample=sample, buckets=buckets)
    for column in NUMBERS:
        known = sample[sample[column].notna()]
        if known.empty:
            assert numbered[column].isna().all()
            continue
        options = {"quantile_method": "linear"} if method == "quantile" else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            binner = KBinsDiscretizer(5, encode="ordinal", strategy=method, **options)
            expected = binner.fit(known[known.is_training][[column]]).transform(known[[column]])
        same(numbered[column].loc[known.index], expected[:, 0])
        assert numbered[column].drop(known.index).isna().all()


def test_edges_of_equal_width_are_those_of_scikit_learn_to_the_last_digit(run: Run) -> None:
    """An edge such as 0.3 is in another bucket than the next floating-point number."""
    # Given tenths, each of which is an edge
    tenths = make_sample(11).assign(x=np.arange(11) / 10, is_training=True)

    # When ten buckets of equal width are fitted, then edges and buckets are the same
    buckets = run("fit ten buckets", sample=tenths)
    binner = KBinsDiscretizer(10, encode="ordinal", strategy="uniform").fit(tenths[["x"]])
    assert [*buckets["lower_edge"], buckets["upper_edge"].max()] == list(binner.bin_edges_[0])
    numbered = run("bucket left", sample=tenths, buckets=buckets)
    assert list(numbered["x"]) == list(binner.transform(tenths[["x"]])[:, 0])


def test_buckets_closed_on_the_right_are_those_of_pandas(run: Run) -> None:
    sample = SAMPLES["usual"]
    buckets = run("fit quantile buckets", sample=sample)
    numbered = run("bucket right", sample=sample, buckets=buckets)
    edges = pd.qcut(sample[sample.is_training]["x"], 5, retbins=True, duplicates="drop")[1]
    expected = pd.cut(sample["x"], edges, labels=False, include_lowest=True)
    same(numbered["x"], expected)


def test_buckets_of_given_edges_are_those_of_pandas_and_numpy(run: Run) -> None:
    sample = SAMPLES["usual"]
    numbered = run("bucket by edges", sample=sample)
    same(numbered["cut"], pd.cut(sample["x"], [-1, 0, 2, 3], labels=False, include_lowest=True))
    clipped = pd.Series(np.searchsorted([0, 2], sample["x"], side="right"), dtype=float)
    same(numbered["clipped"], clipped.where(sample["x"].notna()))


@samples
def test_a_window_of_rows_ends_before_its_own(run: Run, sample: pd.DataFrame) -> None:
    rolled = run("roll by rows", sample=sample)
    groups = by_time(sample).groupby("g")["x"]
    for aggregate, name in {"min": "min", "max": "max", "avg": "mean", "stddev_samp": "std"}.items():
        expected = groups.transform(lambda x, name=name: getattr(x.shift(1).rolling(3, min_periods=1), name)())
        same(rolled[f"{aggregate}_of_x"], expected.sort_index(), 1e-7)
    for aggregate in ("sum", "count"):
        expected = groups.transform(lambda x, name=aggregate: getattr(x.shift(1).rolling(3, min_periods=0), name)())
        same(rolled[f"{aggregate}_of_x"], expected.fillna(0).sort_index())
    same(rolled["lagged"], groups.shift(2).sort_index())


@samples
def test_a_lag_by_time_is_the_last_value_that_is_old_enough(run: Run, sample: pd.DataFrame) -> None:
    lagged = run("lag by time", sample=sample)
    for row in sample.itertuples():
        group = sample[sample["g"] == row.g]
        before = group[(group["t"] <= row.t - pd.Timedelta("3h")) & group["x"].notna()]
        latest = before[before["t"] == before["t"].max()]["x"].max()
        same([lagged.loc[row.row_id]["lagged"]], [latest])


@samples
def test_sensors_are_smoothed_as_pandas_smooths_them(run: Run, sample: pd.DataFrame) -> None:
    smoothed = run("smooth", sample=sample)
    groups = by_time(sample).groupby("g")["x"]
    medians = groups.transform(lambda x: x.rolling(5, min_periods=1).median().where(x.notna()))
    same(smoothed["median"], medians.sort_index())
    medians = groups.transform(lambda x: x.rolling(5, min_periods=1, center=True).median().where(x.notna()))
    same(smoothed["centred_median"], medians.sort_index())
    averages = groups.transform(lambda x: x.rolling(5, min_periods=1, center=True).mean())
    same(smoothed["centred_average"], averages.sort_index(), 1e-7)
    same(smoothed["average"], groups.transform(lambda x: x.rolling(4, min_periods=1).mean()).sort_index(), 1e-7)


@pytest.mark.parametrize("alpha", [0.05, 0.9])
@pytest.mark.parametrize("rows", [1, 400, 20_000])
def test_an_exponential_average_is_that_of_pandas_however_long_the_series(run: Run, rows: int, alpha: float) -> None:
    sample = make_sample(rows, seed=rows)
    smoothed = run(f"smooth exponentially {alpha}", sample=sample)
    expected = by_time(sample).groupby("g")["x"].transform(lambda x: x.ewm(alpha=alpha, ignore_na=True).mean())
    same(smoothed["x_smoothed"], expected.sort_index())


def test_nothing_is_learned_from_an_empty_table(run: Run) -> None:
    sample = SAMPLES["usual"]
    empty = sample.iloc[:0]
    for method in SCALERS:
        parameters = run(f"fit {method}", sample=empty)
        assert list(parameters["row_count"]) == [0, 0]
        assert run(f"scale {method}", sample=sample, parameters=parameters)[["x", "y"]].isna().all(axis=None)
        assert run(f"scale {method}", sample=empty, parameters=parameters).empty
    assert run("fit categories", sample=empty).empty
    encodings = run("fit target auto", sample=empty)
    assert list(encodings["is_default"]) == [True, True]
    assert run("encode target", sample=sample, encodings=encodings).isna().all(axis=None)
    buckets = run("fit quantile buckets", sample=empty)
    assert buckets.empty
    assert run("bucket left", sample=sample, buckets=buckets).isna().all(axis=None)
    for name in ("impute last", "out of fold auto", "roll by rows", "lag by time", "smooth"):
        assert run(name, sample=empty).empty


def test_nan_is_a_missing_number(run: Run) -> None:
    with duckdb.connect() as connection:
        sample = connection.sql(
            "select 1 as row_id, cast('nan' as double) as x, 1.0 as y, true as is_training, now()::timestamp as t "
            "union all select 2, 3.0, 2.0, true, now()::timestamp"
        ).to_arrow_table()
    parameters = run("fit standard", sample=sample)
    assert list(parameters["center"]) == [3.0, 1.5]
    assert list(parameters["missing_count"]) == [1, 0]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("{{ lag_by_time('x', '3 hours', 't') }}", "Write a number and s, m, h or d"),
        ("{{ fit_scaler('sample', ['x'], method='unit') }}", "There is no scaler 'unit'"),
        ("{{ fit_buckets('sample', ['x'], 3, method='even') }}", "There are no buckets 'even'"),
        ("{{ bucket_by_edges('x', [0, 1], closed='both') }}", "A bucket is closed 'left' or 'right'"),
        ("{{ smooth_by_average('x', 4, 't', centred=true) }}", "has no middle"),
        ("{{ smooth_exponentially('sample', 'x', 1, 't') }}", "alpha is 1"),
    ],
)
def test_a_call_that_makes_no_sense_does_not_compile(
    call: str, said: str, tmp_path: Path, manifest: Manifest, capfd: pytest.CaptureFixture[str]
) -> None:
    result = Warehouse(tmp_path / "wrong", manifest).dbt(Lake(), "compile", "--inline", call)
    assert not result.success
    assert said in capfd.readouterr().out
