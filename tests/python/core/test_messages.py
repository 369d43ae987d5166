"""The content of error messages: names and rules, but no values and no secrets."""

import pickle

import pytest

from flows.config import settings
from flows.core.errors import GateFailed, RunLocked, SourceFailed, WarehouseError
from flows.core.redaction import scrub, scrub_values, without_values


@pytest.mark.parametrize(
    "message",
    [
        'Runtime Error in model stg (models/stg.sql)\n  Conversion Error: invalid date field format: "Ann Canary"',
        'Conversion Error: date field value out of range: "1980-13-31 Canary"',
        "Invalid Input Error: Malformed JSON at byte 1. Input: {bad Canary",
        'Invalid Input Error: Could not parse string "Canary" according to format specifier\nCanary\n^',
        'Constraint Error: Duplicate key "email: Canary@example.com" violates primary key constraint',
        "Out of Range Error: Type INT64 with value Canary can't be cast",
        "Canary",
    ],
)
def test_a_database_error_keeps_its_values_to_itself(message: str) -> None:
    # When an error quotes the data, then only its type is reported
    assert "Canary" not in without_values(message)


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("Runtime Error in model f\n  Constraint Error: NOT NULL constraint failed: f.customer_id", "f.customer_id"),
        ("Runtime Error in model f\n  Catalog Error: Table with name stg_x does not exist!", "stg_x"),
        ('Binder Error: Referenced column "colour" not found in FROM clause!', "colour"),
    ],
)
def test_a_database_error_says_which_column_or_model_it_is_about(message: str, kept: str) -> None:
    # When an error names columns and rules, then they are reported
    assert kept in without_values(message)


def test_fault_58_a_secret_is_hidden_in_whatever_form_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret was quoted in the forms of URLs, headers and messages: F."""
    # Given secrets with characters that URLs, headers and messages escape differently
    monkeypatch.setenv("CANARY", "hunter2@home/1\n")
    secret = settings.env_var("CANARY")

    # When they are quoted in any of these forms, then they are hidden
    for form in (secret, secret.strip(), repr(secret), "hunter2%40home%2F1", f"postgresql://me:{secret.strip()}@db/x"):
        assert "hunter2" not in scrub(f"failed: {form}")

    # And values of a structure are hidden, while its names stay
    stated = {"hunter2@home/1": ["hunter2@home/1", 1, None]}
    assert scrub_values(stated) == {"hunter2@home/1": ["***", 1, None]}


@pytest.mark.parametrize(
    "error",
    [
        GateFailed("build", ("one", "two"), "fix it"),
        SourceFailed("crm.customers", "no answer", "again", is_transient=True),
        RunLocked("demo", "process 1"),
        WarehouseError("a text"),
    ],
)
def test_an_error_crosses_to_another_process_whole(error: WarehouseError) -> None:
    # When an error is sent to another process, then its text is the same there
    there = pickle.loads(pickle.dumps(error))
    assert (type(there), str(there), there.exit_code) == (type(error), str(error), error.exit_code)
