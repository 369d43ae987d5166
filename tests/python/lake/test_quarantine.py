"""The report of the quarantine: reasons, counts and masked samples, but no values."""

import pytest
from support.shop import Shop

from flows.lake.quarantine_report import masked, quarantined_tables, reasons_of

EMAIL = {"type": "check", "name": "looks_like_an_email", "expression": "contains(email, '@')"}


def test_the_quarantine_tells_reasons_counts_and_shapes(shop: Shop) -> None:
    # Given records that break one rule, another, or both
    columns = {"id": "varchar", "email": {"data_type": "varchar", "constraints": [EMAIL]}, "age": "integer"}
    shop.declare("crm.customers", columns, key=["id"], load="append")
    shop.map(**{"from": "*"})
    shop.drop_rows(
        "1.jsonl",
        [
            {"id": "1", "email": "ann.canary at home", "age": 40},
            {"id": "2", "email": "bob@example.com", "age": "canary"},
            {"id": "3", "email": "canary", "age": "old"},
            {"id": "4", "email": "dot@example.com", "age": 50},
        ],
    )
    shop.load()

    # When the quarantine is summarised
    assert quarantined_tables(shop.lake) == [shop.name]
    reasons = reasons_of(shop.lake, shop.name)

    # Then each reason has its count, and samples show their place and shape, but no value
    assert {reason.reason: reason.records for reason in reasons} == {
        "email: looks_like_an_email": 2,
        "age: is no integer": 2,
    }
    assert reasons[0].sample[0][0] == "1.jsonl:2"
    shapes = [shape for reason in reasons for _, shape in reason.sample]
    assert '{"id": "9", "email": "aaa.aaa aa aaa", "age": "99"}' in shapes
    assert "canary" not in repr(reasons)


@pytest.mark.parametrize(
    ("raw", "shape"),
    [
        (b"7;Ann Canary;+49 30 1234", "9;aaa aaa;+99 99 9999"),
        (
            '{"name": "Zoë", "tags": ["x1", null], "ok": true}'.encode(),
            '{"name": "aaa", "tags": ["a9", null], "ok": true}',
        ),
        (b"\xff\xfe broken", "\ufffd\ufffd aaa"),
    ],
    ids=["a line", "an object", "no text"],
)
def test_a_record_is_shown_by_its_shape(raw: bytes, shape: str) -> None:
    # When a record is masked, then its shape stays and its content is hidden
    assert masked(raw) == shape


def test_an_empty_quarantine_has_no_reasons(shop: Shop) -> None:
    # When no record was ever rejected, then the summary is empty
    assert quarantined_tables(shop.lake) == []
    assert reasons_of(shop.lake, shop.name) == []
