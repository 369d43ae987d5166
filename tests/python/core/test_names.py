"""Names: a misspelt one is answered with the name that was probably meant."""

import pytest

from flows.core.names import did_you_mean

KNOWN = ("crm.customers", "sales.orders", "sales.order_lines")


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("crm.custmers", " Did you mean crm.customers?"),
        ("CRM.Customer", " Did you mean crm.customers?"),
        ("custmers", " Did you mean crm.customers?"),
        ("sales.order_line", " Did you mean sales.order_lines?"),
        ("clinic.prescriptions", ""),
    ],
)
def test_the_name_that_was_probably_meant_is_suggested(name: str, suggested: str) -> None:
    assert did_you_mean(name, KNOWN) == suggested


def test_without_known_names_there_is_no_suggestion() -> None:
    assert did_you_mean("crm.customers", []) == ""
