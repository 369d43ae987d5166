"""Records of JSON: one whose keys cannot be columns waits in quarantine, and the others get columns."""

import duckdb
import pyarrow as pa
import pytest
from support.rest_api import Serve, connect, page, person
from support.shop import Shop

from flows.core.errors import SchemaMismatch
from flows.core.relation import Relation
from flows.sources.json_records import ALIKE, RECORDS, land_json

pytest_plugins = ["support.rest_fixtures"]

NAMELESS = "has a key without a name"
RESERVED = "has a key that is reserved for the place of a record: "
GOOD = ['{"userId":1}', '{"userId":2}', '{"café":3}', '{"café":4}']


def landed(*texts: str, is_file: bool = False, **fields: str) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """Return the columns of records, the texts of those that landed, and the rejected ones with their reasons."""
    rows = [list(texts), ["place"] * len(texts), list(range(1, len(texts) + 1))]
    records = Relation.from_arrow(duckdb.connect(), "given", pa.table(rows, schema=RECORDS))
    found, rejected = land_json(records, "sales.payments", fields, is_file=is_file)
    texts_found = records.connection.execute(f"select _record from {found} order by _row").fetchall()
    columns = [name for name in found.types if name not in ("_file", "_row", "_record")]
    return columns, [text for (text,) in texts_found], [(one.raw.decode(), one.reason) for one in rejected]


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ('{"":1}', NAMELESS),
        ('{"_row":1,"userId":3}', RESERVED + "_row"),
        ('{"_FILE":1}', RESERVED + "_file"),
        ('{"_Record":1}', RESERVED + "_record"),
        ('{"userid":1}', ALIKE),
        ('{"USERID":1,"userId":1}', ALIKE),
        ('{"cafe\u0301":1}', ALIKE),
        ('{"Kafka_Key":1}', ALIKE),
        ('{"a":1,"A":1}', ALIKE),
    ],
)
def test_fault_29_one_message_whose_keys_collide_waits_and_the_others_land(
    record: str, reason: str, is_first: bool
) -> None:
    """A message had a key without a name, a reserved one, or one that differs from others by case or form: Q."""
    # Given such a message before or after good ones, then it alone waits
    texts = [record, *GOOD] if is_first else [*GOOD, record]
    columns, found, rejected = landed(*texts, kafka_key="'K'")
    assert (found, rejected) == (GOOD, [(record, reason)])
    assert [name for name in columns if name not in ("a", "A")] == ["café", "userId", "kafka_key"]

    # And it waits also if it is alone in its batch, unless nothing of its batch collides with it
    _, found, rejected = landed(record, kafka_key="'K'")
    assert (found == [record]) == (record in ('{"userid":1}', '{"cafe\u0301":1}'))
    assert len(found) + len(rejected) == 1


def test_messages_of_several_faults_wait_once_each_and_decide_on_no_spelling() -> None:
    # Given messages that wait for one key, and spell another one otherwise than the good message
    poor = ['{"":1,"ID":1}', '{"ID":1,"ID":2}', '{"_row":1,"ID":1}', '{"kafka_key":1,"ID":1}', "[1]"]
    columns, found, rejected = landed(*poor, '{"id":1}', kafka_key="'K'")

    # Then each is there once, and the good one lands
    assert (columns, found) == (["id", "kafka_key"], ['{"id":1}'])
    assert sorted(raw for raw, _ in rejected) == sorted(poor)


def test_records_of_a_file_wait_too_but_a_file_of_which_none_lands_is_refused() -> None:
    # Given records of a file, of which one cannot have columns, then it waits
    _, found, rejected = landed(*GOOD, '{"":1}', is_file=True)
    assert (found, rejected) == (GOOD, [('{"":1}', NAMELESS)])

    # And if all are so, the file must be mended
    for record, cause in (('{"":1}', "a name"), ('{"_row":1}', "reserved"), ('{"a":1,"A":2}', "case")):
        with pytest.raises(SchemaMismatch, match=cause):
            landed(record, record, is_file=True)


def test_fault_29_a_record_of_an_api_whose_keys_collide_waits_also_if_it_is_alone(shop: Shop, serve: Serve) -> None:
    """An API listed a record with a key without a name, which nobody could rename: Q."""
    # Given an API that lists such a record, then good ones, too
    listed = [{**person(1), "": "canary"}]
    connect(shop, serve(lambda asked: page(listed)))
    shop.change(quarantine_limit_pct=100.0)
    assert shop.load().counts.quarantined == 1
    listed.append(person(2))

    # When it is loaded again, then the good one is there, and the other one waits once
    shop.load()
    assert shop.rows("id") == ["2"]
    assert [reasons for _, reasons in shop.quarantine()] == [[NAMELESS]]
