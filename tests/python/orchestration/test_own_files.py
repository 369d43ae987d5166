"""The project's own small files, damaged: those that can be made again are set aside, and made again."""

import logging
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.config.settings import DataFolder
from flows.core.errors import RunLocked, UsageError, WarehouseError
from flows.orchestration import server
from flows.orchestration.run_lock import run_lock

GARBAGE = b"\x00\xff\xfe garbage " * 200


@pytest.mark.parametrize(
    "content",
    [GARBAGE, b"", b"{", b"[]", b"7", b'{"process": "x", "command": 1, "since": null}', b"[" * 100_000],
)
def test_fault_96_a_lock_of_garbage_is_written_again(tmp_path: Path, content: bytes) -> None:
    """The lock of a data folder held garbage; the run took it, wrote its own name, and freed it: I."""
    folder = DataFolder(tmp_path)
    folder.lock.write_bytes(content)
    with run_lock(folder):
        assert f"{'process'}" in folder.lock.read_text()
        with pytest.raises(RunLocked), run_lock(folder):
            pass
    assert folder.lock.read_bytes() == b""


@pytest.mark.parametrize("name", ["run.lock", "work"])
def test_fault_96_what_is_in_the_way_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """A folder was where the lock belongs, and a file where the work folder does; both are kept, and told: A."""
    # Given a folder instead of a file, or the other way
    place = tmp_path / name
    if name == "work":
        place.write_text("notes of a person")
    else:
        place.mkdir()
        (place / "notes").write_text("notes of a person")

    # When a run takes the folder
    with caplog.at_level(logging.WARNING), run_lock(DataFolder(tmp_path)):
        pass

    # Then what was there is kept under another name, and that is told
    (aside,) = tmp_path.glob(f"{name}.damaged-*")
    kept = aside if aside.is_file() else aside / "notes"
    assert kept.read_text() == "notes of a person"
    assert aside.name in caplog.text


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def overwrite(path: Path) -> None:
    path.write_bytes(GARBAGE)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:12288] = b"\xff" * 8192
    path.write_bytes(bytes(content))


def become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_another(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("create table another (one integer)")


@pytest.mark.parametrize("damage", [cut, overwrite, flip, become_folder, become_another])
def test_fault_96_a_damaged_database_of_prefect_is_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    """Prefect's database was cut, overwritten or another one; it is set aside before a server is started: A."""
    # Given Prefect's database with a log of writes beside it
    database = tmp_path / "prefect.db"
    with sqlite3.connect(database) as connection:
        connection.execute("create table alembic_version (version_num text)")
        connection.execute("create table runs (one text)")
        connection.executemany("insert into runs values (?)", [("run " * 500,)] * 100)
    (tmp_path / "prefect.db-wal").write_bytes(b"")

    # When it is whole, or held by another server, then it stays
    server.set_damaged_files_aside(tmp_path)
    with sqlite3.connect(database, isolation_level=None) as connection:
        connection.execute("begin exclusive")
        server.set_damaged_files_aside(tmp_path)
    assert database.exists()

    # And when it is damaged, then it is kept under another name, and the next server makes another one
    damage(database)
    with caplog.at_level(logging.WARNING):
        server.set_damaged_files_aside(tmp_path)
    assert not database.exists()
    assert len([*tmp_path.glob("prefect.db.damaged-*")]) == 1
    assert not (tmp_path / "prefect.db-wal").exists()
    assert "is made again" in caplog.text


def test_fault_96_damaged_settings_of_prefect_are_made_again(tmp_path: Path) -> None:
    """Prefect's profiles held garbage, with which nothing of it can be imported: A."""
    profiles = tmp_path / "profiles.toml"
    profiles.write_text('active = "local"\n[profiles.local]\n')
    server.set_damaged_files_aside(tmp_path)
    assert profiles.exists()
    profiles.write_bytes(GARBAGE)
    server.set_damaged_files_aside(tmp_path)
    assert not profiles.exists()
    assert len([*tmp_path.glob("profiles.toml.damaged-*")]) == 1


def test_fault_96_a_server_that_ended_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Prefect's server ended before it answered; the run says so at once, and what to do: F."""
    monkeypatch.setenv("ML_WAREHOUSE_DATA", str(tmp_path))
    port = server.free_port()
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"]) as ended:
        ended.wait()
        monkeypatch.setitem(server.SERVERS, port, ended)
        started = time.monotonic()
        with pytest.raises(WarehouseError, match=r"(?s)ended before it answered.*Fix: mv"):
            server.wait_for_server(f"http://127.0.0.1:{port}/api")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("content", [b"", b"short", GARBAGE, None])
def test_fault_96_a_damaged_key_is_never_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    """The made-up key of pseudonyms was damaged; another key would change them all, so that the run stops: F."""
    monkeypatch.delenv("ML_WAREHOUSE_PSEUDONYM_KEY", raising=False)
    folder = DataFolder(tmp_path)
    folder.made_up_key.write_bytes(content) if content is not None else folder.made_up_key.mkdir()
    with pytest.raises(UsageError, match="Restore the file from a backup"):
        _ = folder.pseudonym_key
    assert folder.made_up_key.exists()


def test_fault_98_loopback_is_never_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy was set for everything; Prefect's client and server, and sources on this machine, go around it: I."""
    import urllib.request

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setattr(server, "set_damaged_files_aside", lambda _home: None)
    for name in ("PREFECT_HOME", "PREFECT_LOGGING_EXTRA_LOGGERS", "PREFECT_CLI_PROMPT"):
        monkeypatch.setenv(name, "")
    server.prepare_prefect()
    for host in ("127.0.0.1", "localhost", "intranet.example"):
        assert urllib.request.proxy_bypass(host), host
    assert not urllib.request.proxy_bypass("elsewhere.example")
