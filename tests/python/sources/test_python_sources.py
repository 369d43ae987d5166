"""Sources of the user's own Python: what a function yields is loaded as any source's records are."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support.shop import Shop

from flows.config import settings
from flows.core.errors import SchemaMismatch, SourceFailed, UsageError
from flows.ingest.mistakes import inspect_table
from flows.ingest.preview import preview_table
from flows.sources.entries import entry_of, keep_secrets_out
from flows.sources.survey import survey

CANARY = "hünter☃2"
COLUMNS = {"id": "varchar not null", "name": "varchar", "amount": "decimal(18, 4)", "changed_at": "timestamp"}
FEEDS: dict[str, Callable[[Any], Any]] = {}
"""What the function of the user's yields, by test."""

ASKED: list[Any] = []
"""The values that it was called with."""

BY_TEST = f"""
    from {__name__} import ASKED, FEEDS

    def people(since):
        ASKED.append(since)
        return FEEDS["people"](since)
    """


@pytest.fixture
def write(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Write the user's module, in a project of the test's own."""
    package = shop.folder / "my_sources"
    package.mkdir()
    monkeypatch.setattr(settings, "PROJECT", shop.folder.resolve())
    monkeypatch.syspath_prepend(shop.folder)
    shop.declare("crm.people", COLUMNS, key=["id"], load="upsert", cursor="changed_at")
    shop.connect("python:my_sources.crm:people")

    def write_module(text: str) -> None:
        (package / "crm.py").write_text(textwrap.dedent(text))

    yield write_module
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_sources"]:
        del sys.modules[name]


@pytest.fixture
def feed(write: Callable[[str], None]) -> Callable[[Any], None]:
    """Set what the user's function returns: a value, or a function of the cursor value that it is called with."""
    write(BY_TEST)
    ASKED.clear()

    def set_feed(feed: Any) -> None:
        FEEDS["people"] = feed if callable(feed) else lambda _since: feed

    return set_feed


def person(number: int, day: int = 1, **further: Any) -> dict[str, Any]:
    return {"id": str(number), "name": f"N{number}", "changed_at": datetime(2026, 3, day, tzinfo=UTC)} | further


def test_dicts_are_read_from_the_last_watermark_on(shop: Shop, feed: Callable[[Any], None]) -> None:
    # Given a generator of dicts in no order, some of which lack a field that others have
    feed([person(1, 3), person(2, 1, amount=Decimal("1.2500")), {"id": "3", "name": "N3", "changed_at": None}])
    assert shop.load().counts.accepted == 3
    assert shop.load().counts.known == 3

    # When more come, then the function was given the largest cursor value, less the lookback of an hour
    feed(lambda since: (person(number, 4) for number in (1, 4) if since is not None))
    load = shop.load()
    assert [None, *[datetime(2026, 3, 2, 23, tzinfo=UTC)] * 2] == ASKED
    assert load.counts.accepted == 2
    assert shop.rows("id", "amount")[:3] == [("1", None), ("2", Decimal("1.2500")), ("3", None)]
    assert shop.rows("_position")[:2] == ["people:1", "people:2"]


def test_a_field_that_no_dict_of_a_batch_has_is_null(shop: Shop, feed: Callable[[Any], None]) -> None:
    """An API leaves a field out if it has no value, so that a batch may lack a column that the mapping names."""
    shop.map(columns={"name": "coalesce(nickname, name)", "amount": "paid"}, where="coalesce(country, '') <> 'TEST'")
    feed([person(1)])
    shop.load()
    feed([person(1), person(2, paid=2, nickname="Bo", country="CH"), person(3, country="TEST")])
    shop.load()
    assert shop.rows("id", "name", "amount") == [("1", "N1", None), ("2", "Bo", 2)]


@pytest.mark.parametrize(("cursor", "kind"), [(7, "bigint"), ("b", "varchar"), (date(2026, 3, 2), "date")])
def test_the_function_is_given_a_value_of_the_type_that_it_yielded(
    shop: Shop, feed: Callable[[Any], None], cursor: Any, kind: str
) -> None:
    shop.declare("crm.people", {"id": "varchar", "at": kind}, key=["id"], load="upsert", cursor="at", lookback=0)
    feed([{"id": "1", "at": cursor}])
    shop.load()
    shop.load()
    assert ASKED[0] is None
    assert type(ASKED[1]) is type(cursor)


def test_a_full_copy_is_asked_for_without_a_watermark_and_shows_deletes(
    shop: Shop, feed: Callable[[Any], None]
) -> None:
    shop.declare("crm.people", COLUMNS, key=["id"], load="full")
    feed([person(1), person(2)])
    shop.load()
    feed([person(2)])
    shop.load()
    assert ASKED == [None, None]
    assert shop.rows("id", where="_deleted") == ["1"]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_generator_that_fails_half_way_loses_and_doubles_nothing(
    shop: Shop, feed: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Its rows are in no order: a watermark of the batches before the failure would hide the rows after it."""
    # Given batches of a few rows, and a generator that yields the newest row first and fails at the fifth
    monkeypatch.setattr("flows.sources.arrow_batches.ROWS_A_BATCH", size)
    monkeypatch.setattr("flows.sources.python.table.DICTS_A_PIECE", 1)
    rows = [person(number, 20 - number) for number in range(1, 8)]

    def fail(_since: Any) -> Iterator[Any]:
        yield from rows[:4]
        raise KeyError(CANARY)

    feed(fail)
    with pytest.raises(SourceFailed, match="KeyError"):
        shop.load()
    committed = len(shop.rows("id"))
    assert committed == 4 // size * size

    # When it is run again and does not fail, then each row is there once
    feed(iter(rows))
    load = shop.load()
    assert (load.counts.accepted, load.counts.known) == (7 - committed, committed)
    assert sorted(shop.rows("id")) == [str(number) for number in range(1, 8)]

    # And only now the next load begins at the watermark
    feed([])
    shop.load()
    assert [None, None, datetime(2026, 3, 18, 23, tzinfo=UTC)] == ASKED


def test_values_of_every_type_are_loaded_exactly(shop: Shop, feed: Callable[[Any], None]) -> None:
    columns = {
        "id": "bigint not null",
        "price": "decimal(38, 10)",
        "ratio": "double",
        "seen_at": "timestamp",
        "born_on": "date",
        "is_new": "boolean",
        "photo": "blob",
        "tags": "varchar",
        "address": "varchar",
    }
    shop.declare("crm.people", columns, key=["id"], load="append")
    shop.map(columns={"address": "address->>'$.city'"})
    winter = timezone(timedelta(hours=5, minutes=30))
    row = {
        "id": 2**62 + 1,
        "price": Decimal("12345678901234567890.0123456789"),
        "ratio": 0.1,
        "seen_at": datetime(2026, 3, 1, 1, 30, 0, 1, tzinfo=winter),
        "born_on": date(1900, 2, 28),
        "is_new": False,
        "photo": b"\x00\xff",
        "tags": ["a", {"b": {2, 1}}],
        "address": {"city": "Zürich", "at": np.array([1.5]), "since": date(2026, 1, 2)},
    }
    feed([row])
    shop.load()
    expected = (
        *(2**62 + 1, Decimal("12345678901234567890.0123456789"), 0.1, datetime(2026, 2, 28, 20, 0, 0, 1)),
        *(date(1900, 2, 28), False, b"\x00\xff", '["a", {"b": [1, 2]}]', "Zürich"),
    )
    assert shop.rows(*columns) == [expected]


VALUES = "('1', 'Ada', 1.25, timestamptz '2026-03-01 09:00:00+00'), ('2', null, null, null)"


def frame() -> pd.DataFrame:
    times = pd.to_datetime(["2026-03-01 10:00", None]).tz_localize("Europe/Berlin")
    rows = pd.DataFrame(
        {
            "id": ["1", "2"],
            "name": pd.Categorical(["Ada", None]),
            "amount": pd.Series([Decimal("1.25"), None], dtype=object),
            "changed_at": times,
        }
    )
    return rows.set_index(pd.Index([7, 9], name="position"))


class Polars:
    """A data frame of a library that hands over its columns by Arrow's C interface, as Polars does."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


def arrow() -> pa.Table:
    moment = datetime(2026, 3, 1, 9, tzinfo=UTC)
    return pa.table(
        {
            "id": pa.array(["1", "2"], pa.string_view()),
            "name": pa.DictionaryArray.from_arrays(pa.array([0, None]), pa.array(["Ada"], pa.string_view())),
            "amount": pa.array([Decimal("1.25"), None], pa.decimal256(76, 2)),
            "changed_at": pa.array([moment, None], pa.timestamp("ns", "Asia/Tokyo")),
        }
    )


@pytest.mark.parametrize(
    "yielded",
    [
        pytest.param(frame, id="pandas"),
        pytest.param(arrow, id="table"),
        pytest.param(lambda: iter([arrow()]), id="tables"),
        pytest.param(lambda: arrow().to_batches(), id="batches"),
        pytest.param(lambda: arrow().to_reader(), id="reader"),
        pytest.param(lambda: Polars(arrow()), id="C interface"),
        pytest.param(lambda: duckdb.sql(f"from (values {VALUES}) as rows (id, name, amount, changed_at)"), id="DuckDB"),
        pytest.param(lambda: arrow().to_pylist(), id="dicts"),
        pytest.param(lambda: iter([arrow().to_pylist()]), id="pages of dicts"),
        pytest.param(lambda: iter([arrow().slice(0, 1), *frame().iloc[1:].to_dict("records")]), id="mixed"),
    ],
)
def test_tables_frames_and_dicts_give_the_same_rows(
    shop: Shop, feed: Callable[[Any], None], yielded: Callable[[], Any]
) -> None:
    feed(lambda _since: yielded())
    assert shop.load().counts.accepted == 2
    moment = datetime(2026, 3, 1, 9)
    assert shop.rows(*COLUMNS) == [("1", "Ada", Decimal("1.2500"), moment), ("2", None, None, None)]


def test_nested_arrow_values_and_nanoseconds_are_kept_or_quarantined(shop: Shop, feed: Callable[[Any], None]) -> None:
    nested = pa.array([{"city": "Bern", "tags": ["a"]}, None])
    fine = pa.array([1_772_359_200_000_000_001, 1_772_359_200_000_000_000], pa.timestamp("ns", "UTC"))
    shop.map(columns={"name": "address.city"})
    feed(pa.table({"id": ["1", "2"], "address": nested, "changed_at": fine}))
    load = shop.load()
    assert (load.counts.accepted, load.counts.quarantined) == (1, 1)
    assert shop.rows("id", "changed_at") == [("2", datetime(2026, 3, 1, 10))]


def test_values_that_duckdb_or_python_writes_otherwise_keep_their_meaning(
    shop: Shop, feed: Callable[[Any], None]
) -> None:
    """A short float, a period and a type of Arrow that DuckDB lacks are values, too."""
    early = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    months = pd.Series(pd.period_range("2026-01", periods=2, freq="M"))
    wide = pa.array([[Decimal("1.25")]], pa.list_(pa.decimal256(50, 2)))
    union = pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array(["x"])])
    shop.declare("crm.people", {"id": "varchar", "value": "varchar"}, key=["id"], load="append")
    for values, expected in [
        ([np.float32(0.1)], ["0.1"]),
        ([Decimal("0E-8"), Decimal("1E-7"), Decimal("1E+3"), "x"], ["0.00000000", "0.0000001", "1000", "x"]),
        ([early, "x"], ["0001-01-01 00:00:00+02:00", "x"]),
        ([{"of": b"bytes"}], ['{"of": "bytes"}']),
        (months, ["2026-01", "2026-02"]),
        (pa.array(months), ["2026-01", "2026-02"]),
        (np.array([0.5], "float16"), ["0.5"]),
        (pa.array([None, np.float16(0.5)], pa.float16()), [None, "0.5"]),
        (wide, ['["1.25"]']),
        (union, ["x"]),
    ]:
        ids = [f"{len(shop.rows('id'))}.{at}" for at in range(len(values))]
        if isinstance(values, list):
            feed([{"id": one, "value": value} for one, value in zip(ids, values, strict=True)])
        else:
            make = pa.table if isinstance(values, pa.Array) else pd.DataFrame
            feed(make({"id": ids, "value": values}))
        shop.load()
        assert shop.rows("value", where=f"id in {(*ids, '')}") == expected


def test_short_floats_keep_their_digits_beside_long_ones(shop: Shop, feed: Callable[[Any], None]) -> None:
    feed([pa.table({"id": [str(bits)], "amount": pa.array([0.1], f"float{bits}")}) for bits in (32, 64)])
    shop.load()
    assert shop.rows("amount") == [Decimal("0.1000")] * 2


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_a_year_that_python_lacks_is_quarantined_and_moves_no_watermark(
    shop: Shop, feed: Callable[[Any], None], unit: str
) -> None:
    times = np.array(["2026-03-01", "20000-01-01"], f"datetime64[{unit}]")
    feed(pd.DataFrame({"id": ["1", "2"], "changed_at": times}))
    load = shop.load()
    assert (load.counts.accepted, load.counts.quarantined) == (1, 1)
    shop.load()
    assert [None, datetime(2026, 2, 28, 23)] == ASKED


def test_two_columns_of_one_name_are_refused(shop: Shop, feed: Callable[[Any], None]) -> None:
    for frame in (
        pd.DataFrame([["1", "Ada", "Bo"]], columns=["id", "name", "name"]),
        pa.table([["1"]] * 2, ["id"] * 2),
    ):
        feed(frame)
        with pytest.raises(SchemaMismatch, match="columns must differ by more than case"):
            shop.load()


def test_a_record_that_breaks_the_contract_or_is_no_text_is_quarantined(
    shop: Shop, feed: Callable[[Any], None]
) -> None:
    feed([person(1, amount=Decimal("1.23456")), person(2, name="cut \ud83d"), person(3), person(4)])
    load = shop.load()
    assert (load.counts.accepted, load.counts.quarantined) == (2, 2)
    reasons = " ".join(reason for _, reasons in shop.quarantine() for reason in reasons)
    assert "amount" in reasons
    assert "name: is not UTF-8" in reasons


@pytest.mark.parametrize(
    ("yielded", "cause"),
    [
        (["a"], "yields a value of type str, and a dict, an Arrow table or batch"),
        ([None], "yields None, and a dict"),
        ([("a", 1)], "yields a value of type str"),
        (7, "returns a value of type int, and a generator or list is expected"),
        (None, "returns None, and a generator"),
        ([{}], "yields a dict without keys"),
        ([{1: "a"}], "yields a dict with a value of type int as key"),
        ([{"id": "1", "name": object()}], "yields a value of type object in 'name', which has no text of its own"),
        (pd.Series([1]), "yields a value of type pandas.*Series that cannot be read as Arrow"),
        ([{"id": "1", "_row": 1}], "columns must not be called '_row'"),
        ([{"id": "1", "ID": "1"}], "columns must differ by more than case"),
    ],
)
def test_a_thing_that_is_no_row_is_told_by_its_type(
    shop: Shop, feed: Callable[[Any], None], yielded: Any, cause: str
) -> None:
    feed(yielded)
    with pytest.raises((SourceFailed, SchemaMismatch), match=cause) as failure:
        shop.load()
    assert "crm.people" in str(failure.value)


def test_errors_of_the_users_code_name_file_line_and_table_and_no_value(
    shop: Shop, write: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    # Given a function that fails within a library, on a value
    write(
        f"""
        import json

        def people(since):
            yield {{"id": "1"}}
            json.loads("{CANARY}")
        """
    )

    # When the table is loaded, then the error names the user's own line, and nothing shows the value
    with pytest.raises(SourceFailed) as failure:
        shop.load()
    text = str(failure.value)
    assert text.startswith("crm.people: python:my_sources.crm:people failed: my_sources/crm.py:6, in people: json.")
    assert "within decoder.py" in text
    assert "python -c 'from my_sources.crm import people; list(people(None))'" in text
    assert CANARY not in text + caplog.text + str(shop.loads()[-1]["error"])
    assert failure.value.__cause__ is None


@pytest.mark.parametrize(("raised", "is_transient"), [("ConnectionResetError", True), ("SystemExit", False)])
def test_a_network_that_fails_is_tried_again_and_an_exit_is_a_failure(
    shop: Shop, write: Callable[[str], None], raised: str, is_transient: bool
) -> None:
    write(f"def people(since):\n    raise {raised}('{CANARY}')")
    with pytest.raises(SourceFailed, match=rf"my_sources/crm.py:2, in people: {raised}; its message") as failure:
        shop.load()
    assert failure.value.is_transient == is_transient


@pytest.mark.parametrize(
    ("url", "text", "cause"),
    [
        ("my_sources.hr:people", "", "my_sources.hr is no module of the project"),
        ("no_such_package:people", "", "no_such_package is no module of the project"),
        ("os:system", "", "os is no module of the project"),
        ("duckdb:connect", "", "duckdb is no module of the project"),
        (":people", "", "nothing is no name of a module"),
        ("my_sources.crm:person", "def people(since): ...", "my_sources.crm has no function person"),
        ("my_sources.crm:people", "people = 7", "my_sources.crm has people, which is no function"),
        ("my_sources.crm:people", "import no_such_library", "needs the package no_such_library, which is not"),
        ("my_sources.crm:people", "def people(", r"cannot be imported: my_sources/crm.py:1: SyntaxError"),
        ("my_sources.crm:people", "\n1 / 0", r"cannot be imported: my_sources/crm.py:2, in <module>: ZeroDivision"),
    ],
)
def test_a_function_that_cannot_be_used_is_told_before_anything_is_read(
    shop: Shop, write: Callable[[str], None], url: str, text: str, cause: str
) -> None:
    write(text)
    shop.connect(f"python:{url}")
    with pytest.raises(UsageError, match=f"the url of test.crm cannot be used: .*{cause}"):
        shop.load()


def test_a_source_of_several_tables_names_a_function_for_each(shop: Shop, write: Callable[[str], None]) -> None:
    # Given a url without a function: `from`, else the table's name, is the function
    write("def people(since):\n    yield {'id': '1'}\n\ndef staff(since):\n    yield {'id': '2'}")
    shop.connect("python:my_sources.crm")
    shop.load()
    shop.map(**{"from": "staff"})
    shop.load()
    assert shop.rows("id") == ["1", "2"]

    # When both name one, then they must agree
    shop.connect("python:my_sources.crm:people")
    shop.map(**{"from": "staff"})
    with pytest.raises(UsageError, match=r"the url of test\.crm names people, and `from` names staff"):
        shop.load()


def test_a_look_ends_the_function_after_the_first_rows(shop: Shop, feed: Callable[[Any], None]) -> None:
    """`check` and `preview` must not run a source to its end, and must let it clean up."""
    seen: list[str] = []

    def endless(_since: Any) -> Iterator[Any]:
        try:
            for number in range(1_000_000):
                seen.append("row")
                yield person(number, mail="ada@example.com")
        finally:
            seen.append("closed")

    feed(endless)
    found, _ = inspect_table(shop.read_connection(), shop.contract)
    assert found.mistakes == ()
    assert (seen.count("row"), seen.count("closed")) == (101, 1)

    # And a preview shows first rows, by the same way
    seen.clear()
    preview = preview_table(shop.read_connection(), shop.contract, 3)
    assert [one.position for one in preview.records] == ["people:1", "people:2", "people:3"]
    assert seen[-1] == "closed"
    assert len(seen) == 102


def test_a_check_tells_mistakes_of_the_mapping_and_of_the_code(
    shop: Shop, feed: Callable[[Any], None], write: Callable[[str], None]
) -> None:
    feed([person(1)])
    shop.map(columns={"name": "full_nam"})
    found, _ = inspect_table(shop.read_connection(), shop.contract)
    assert "full_nam" in str(found.mistakes + found.notes)
    feed(["a"])
    found, _ = inspect_table(shop.read_connection(), shop.contract)
    assert "crm.people: python:my_sources.crm:people failed: my_sources/crm.py:" in found.mistakes[0].what


def test_an_entry_is_written_for_a_function(shop: Shop, feed: Callable[[Any], None]) -> None:
    feed([person(1)])
    given = keep_secrets_out("python:my_sources.crm:people", "", None)
    entry = entry_of(survey(given.url, given.auth), given, {shop.name: shop.contract}, None)
    assert list(entry.lines)[:5] == [
        "  crm:",
        '    url: "python:my_sources.crm"',
        "    tables:",
        "      people:",
        "        from: people",
    ]
    assert ASKED == [None]


def test_an_entry_needs_the_name_of_a_function(shop: Shop, feed: Callable[[Any], None]) -> None:
    """A module may hold functions that do anything, so that none is called unless it is named."""
    feed([person(1)])
    with pytest.raises(UsageError, match=r"python:my_sources\.crm names no function"):
        survey("python:my_sources.crm", {})
    assert ASKED == []
