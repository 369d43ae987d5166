"""A preview shows records beside their result, and no personal data; nothing is written."""

import json
from pathlib import Path

import pytest
import yaml
from support.command_line import Said, run_command

CANARY = "c4nary"
CLIENTS = (
    "Number;Given;Family;Mail;Land;Note;Changed\n"
    f"0007;{CANARY}-ada;{CANARY}-birch;{CANARY}@example.com;DE;{CANARY};2026-01-05 09:00\n"
    f"0009;{CANARY}-cy;{CANARY}-moss;{CANARY} is no address;DE;{CANARY};2026-01-06 12:00\n"
    "0010;one;field;more;than;the;header;has\n"
)
COLUMNS = {
    "customer_id": "Number",
    "full_name": "Given || ' ' || Family",
    "email": "Mail",
    "country": "Land",
    "city": "lower(Mail)",
    "updated_at": "Changed",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ML_WAREHOUSE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("ML_WAREHOUSE_SET", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clients.csv").write_text(CLIENTS)
    message = {"by": f"{CANARY} person", "unit_id": "U1", "ts": "2026-01-01T00:00:00Z", "temperature": 4.5}
    (tmp_path / "messages.jsonl").write_text(json.dumps(message) + "\n")
    customers = {"from": "clients.csv", "time_zone": "Europe/Berlin", "columns": COLUMNS}
    columns = {"unit_id": "unit_id", "read_at": "ts", "payload": "_record", "temperature_celsius": "temperature"}
    readings = {"from": "messages.jsonl", "columns": columns}
    query = "select _file, min(_row) as _row, Number as customer_id, Mail as email from source group by all"
    (tmp_path / "shop.yml").write_text(
        yaml.safe_dump(
            {
                "tea": {
                    "crm": {"url": "file:.", "tables": {"customers": customers}},
                    "equipment": {"url": "file:.", "tables": {"readings": readings}},
                },
                "query": {"crm": {"url": "file:.", "tables": {"customers": {"from": "clients.csv", "query": query}}}},
            }
        )
    )
    return tmp_path


def preview(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> Said:
    return run_command(monkeypatch, capsys, "preview", *arguments, "--connections", "shop.yml")


def rows_of(said: Said) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("   ") if cell.strip()] for line in said.out.splitlines()]


def test_records_are_shown_beside_their_result_and_without_personal_data(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a good record, one that breaks a rule, and one that is malformed
    said = preview(monkeypatch, capsys, "crm.customers", "--set", "tea")

    # Then values that are no personal data are shown on both sides, with the time in UTC
    assert said.code == 0, said.text
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert "customer_id Number = 0007 0007" in lines
    assert "country Land = DE DE" in lines
    assert "updated_at Changed = 2026-01-05 09:00 2026-01-05 08:00:00" in lines

    # And personal ones by their class, also where a column of another class is made of them
    assert "full_name Given = <name>, Family = <name> <name>" in lines
    assert "city Mail = <city> <city>" in lines
    assert CANARY not in said.text

    # And rejected records have their reasons, and the shape of their values
    assert "email: looks_like_an_email" in lines
    assert "customer_id Number = 9999 9999" in lines
    assert "malformed: has 8 fields, the header 7" in lines
    assert "crm.customers: 1 of the first records of clients.csv pass, 2 would be quarantined" in lines
    assert any(line.startswith("kept in the lake under their own names: Note") for line in lines)

    # And nothing is written
    assert not (folder / "data").exists()


def test_a_message_that_is_kept_whole_is_shown_as_its_shape(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = preview(monkeypatch, capsys, "equipment.readings", "--set", "tea")
    assert said.code == 0, said.text
    assert "4.5" in said.out
    assert CANARY not in said.text


def test_a_query_is_shown_as_what_it_yields(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = preview(monkeypatch, capsys, "crm.customers", "--set", "query", "--rows", "1")
    assert said.code == 0, said.text
    assert ["customer_id", "customer_id = 0007", "0007"] in [
        [cell for cell in row if cell] for row in rows_of(said)
    ] or "customer_id = 0007" in said.out
    assert "0009" not in said.out
    assert CANARY not in said.text


def test_a_table_that_the_set_does_not_have_is_told_with_a_suggestion(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = preview(monkeypatch, capsys, "crm.custmers", "--set", "tea")
    assert (said.code, "(did you mean crm.customers?)" in said.err) == (2, True)
    (folder / "clients.csv").unlink()
    said = preview(monkeypatch, capsys, "crm.customers", "--set", "tea")
    assert (said.code, "no file matches clients.csv; its folder has messages.jsonl" in said.err) == (4, True)
    assert "Batches that were committed" not in said.err
