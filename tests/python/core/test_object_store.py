"""Objects of S3 as paths: keys that no path can have."""

from collections.abc import Callable
from typing import Any

import pytest

from flows.config.settings import prepare_s3
from flows.core.object_store import S3Failed, S3Path
from tests.services.s3 import BUCKET, S3Server

pytest_plugins = ["support.s3_fixtures"]
pytestmark = pytest.mark.services

LOOKS: list[Callable[[S3Path], Any]] = [
    S3Path.is_dir,
    lambda folder: list(folder.iterdir()),
    lambda folder: list(folder.rglob("*")),
    lambda folder: list(folder.glob("*.csv")),
]


@pytest.fixture
def folder(s3_environment: S3Server) -> S3Path:
    """A folder with one object."""
    prepare_s3()
    s3_environment.empty()
    s3_environment.put("in/good.csv", b"id\n1\n")
    return S3Path(f"s3://{BUCKET}/in")


@pytest.mark.parametrize("key", ["in//canary.csv", "in//", "in/canary\t.csv", "in/canary\x7f.csv", "in/../canary.csv"])
def test_a_key_that_cannot_be_read_is_named_as_the_cause_and_not_tried_again(
    s3_server: S3Server, folder: S3Path, key: str
) -> None:
    """Such a key failed each list as if a second try would help, and the error named no cause."""
    # Given another object whose key has an empty part, or a control character
    s3_server.put(key, b"id\n2\n")
    for look in LOOKS:
        # When its folder is looked at, then the error says what to do, and quotes no key
        with pytest.raises(S3Failed, match="a part between slashes is empty") as failed:
            look(folder)
        assert (failed.value.place, failed.value.is_transient) == (str(folder), False)
        assert failed.value.remedy.startswith("Rename the object, or move it out of the prefix.")
        assert "canary" not in f"{failed.value} {failed.value.remedy}"


@pytest.mark.parametrize("name", ["a\\b.csv", "a%2Fb.csv", "ö \x85.csv"])
def test_an_odd_key_that_can_be_read_is_listed(s3_server: S3Server, folder: S3Path, name: str) -> None:
    s3_server.put(f"in/{name}", b"id\n2\n")
    assert {path.name for path in folder.iterdir()} == {"good.csv", name}
