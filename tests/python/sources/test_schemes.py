"""Schemes and drivers of URLs: what cannot be read is told before anything is read, without secrets."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from support.shop import Shop

from flows.core.errors import SourceFailed, UsageError
from flows.sources import require_connectors

CANARY = "hünter☃2"


class BrokenDialect(SQLiteDialect_pysqlite):
    """A database whose driver fails in a way that nobody foresaw, and quotes the password."""

    def connect(self, *_arguments: Any, **_options: Any) -> Any:
        return CANARY.encode("latin-1")


@pytest.fixture
def broken() -> Iterator[str]:
    sqlalchemy.dialects.registry.register("broken", __name__, "BrokenDialect")
    yield "broken"
    sqlalchemy.dialects.registry.deregister("broken")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "gs://bucket/folder",
            "begins with gs:, a scheme that no connector reads.\nSchemes are sqlite:///, postgresql",
        ),
        ("kafka://one:9092,two:9092/topic", r"is not valid.\nWrite kafka://HOST:PORT, and the topic under `from`"),
        ("mongodb+srv://me:hunter2@host/shop", r"begins with mongodb\+srv:, a scheme that no connector reads"),
        ("localhost:5432/shop", "begins with localhost:, a scheme that no connector reads"),
        (r"C:\data\shop.sqlite", "begins with c:, which is a drive and no scheme.\nWrite file: before the path"),
        ("sqlite://shop.sqlite", "begins with sqlite: and fewer than three slashes.\nWrite sqlite:///"),
        ("shop.sqlite", "has no scheme"),
        (
            "mssql+pyodbc://me:hunter2@host/shop",
            "needs the driver pyodbc, which is not installed.\nInstall it: .* pyodbc",
        ),
        ("oracle://me:hunter2@host/shop", "needs the driver oracledb, which is not installed"),
        ("postgres://me:hunt@er2@host/shop", "url is not a valid URL.\nSigns such as @"),
    ],
)
def test_fault_78_a_url_that_cannot_be_read_is_told_by_its_scheme(shop: Shop, url: str, message: str) -> None:
    """A URL had a scheme that no connector reads, a drive of Windows, or a driver that is not installed: F."""
    shop.connect(url)
    with pytest.raises(UsageError, match=message) as failure:
        shop.load()
    assert not {"hunt", "er2"} & set(str(failure.value).replace("@", " ").split())
    assert "hunter2" not in str(failure.value)


def test_fault_78_drivers_of_all_sources_are_checked_before_anything_is_read(shop: Shop) -> None:
    """Two of three sources needed a driver that was not installed, which was found out table by table: F."""
    tables = []
    for source, url in (("crm", "mssql+pyodbc://host/a"), ("shop", "file:exports"), ("sales", "oracle://host/b")):
        shop.declare(f"{source}.orders")
        shop.connect(url)
        connection = shop.read_connection()
        tables += [(shop.name, connection), (shop.name, connection)]
    with pytest.raises(UsageError) as failure:
        require_connectors(tables)
    text = str(failure.value)
    assert text.count("driver pyodbc") == text.count("oracledb, which") == 1
    assert "pip install pyodbc" in text
    assert "pip install oracledb" in text


def test_fault_79_an_exception_that_nobody_foresaw_names_table_and_kind(
    shop: Shop, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A driver could not write a password in its own encoding, and quoted it: F."""
    # Given a driver that raises what no driver should
    shop.connect(f"{broken}:///{shop.folder}/shop.db")

    # When the table is loaded, then the error names table and kind, and neither it nor a log the password
    with pytest.raises(SourceFailed, match="orders: the driver raised UnicodeEncodeError") as failure:
        shop.load()
    assert not failure.value.is_transient
    for text in (str(failure.value), repr(failure.value), caplog.text, str(shop.loads()[-1]["error"])):
        assert CANARY not in text
        assert "nter" not in text.replace("interrupted", "")
