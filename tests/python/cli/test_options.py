"""The options of a command line, which its next commands keep."""

import pytest

from flows.cli.options import given_options, keep_options


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["flows", "elt"], ""),
        (["flows", "elt", "--set", "tea", "--connections", "my shop.yml"], "--set tea --connections 'my shop.yml'"),
        (["flows", "query", "--connections=own.yml", "select 1", "--set=tea"], "--connections own.yml --set tea"),
    ],
)
def test_options_are_typed_again_as_they_were(arguments: list[str], options: str) -> None:
    assert given_options(arguments) == options


def test_fault_99_every_next_command_keeps_the_options() -> None:
    """A command was given a set and a file; each command that it prints names both: A."""
    options = "--set tea --connections own.yml"
    text = (
        "Build it again: python -m flows elt --full-refresh\n"
        'See: .venv/bin/python -m flows query "show all tables"\n'
        "crm.people: 3 in quarantine (python -m flows quarantine crm.people --set tea --connections own.yml)\n"
        "python -m flows ui --port 1"
    )
    assert keep_options(text, options) == (
        "Build it again: python -m flows elt --set tea --connections own.yml --full-refresh\n"
        'See: .venv/bin/python -m flows query --set tea --connections own.yml "show all tables"\n'
        "crm.people: 3 in quarantine (python -m flows quarantine crm.people --set tea --connections own.yml)\n"
        "python -m flows ui --port 1"
    )
    assert keep_options(text, "") == text
