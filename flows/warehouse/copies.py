"""Releases copied to S3, and opened from there.

A release on S3 is fetched before DuckDB reads it, since DuckDB's own reader of S3 is no package of PyPI.
"""

import hashlib
import shutil
from pathlib import Path

from flows.config.connections import PARQUET
from flows.config.settings import DataFolder, command, prepare_s3
from flows.core.errors import StorageFailed, UsageError
from flows.core.object_store import SCHEME, S3Path
from flows.warehouse.releases import require_release


def copy_release(folder: DataFolder, release: str, place: str) -> tuple[S3Path, int]:
    """Copy the file of a release, and its Parquet files, below a place on S3; return where it is and the bytes copied.

    The file comes last: where it is, the rest is, too. No file is copied twice. Raises UsageError for a release that is
    not kept and for another kind of place, StorageFailed if another file has the release's name.
    """
    if not place.startswith(SCHEME):
        raise UsageError(
            f"{place} is no place on S3.", f"Name one: {command()} releases {release} --to s3://BUCKET/PATH"
        )
    prepare_s3()
    file = require_release(folder, release)
    target = S3Path(place) / folder.path.name / release
    beside = sorted(path for path in (file.parent / PARQUET).rglob("*") if path.is_file())
    copied = 0
    for path in (*beside, file):
        one, size = target / path.relative_to(file.parent), path.stat().st_size
        if not one.is_file():
            one.upload(path)
            copied += size
        if (found := one.stat().st_size) != size:
            cause = f"it has {found:,} bytes, and the file of the release {size:,}"
            raise StorageFailed(str(one), cause, "Delete it if it is no copy of yours, or name another place.")
    return target / file.name, copied


def fetch_release(folder: DataFolder, url: str) -> Path:
    """Return a copy of a release that is on S3, which is fetched once; raises UsageError if none is there."""
    prepare_s3()
    place = S3Path(url)
    if place.suffix != folder.warehouse.suffix:
        place = place / folder.warehouse.name
    try:
        found = place.etag
    except FileNotFoundError:
        raise UsageError(
            f"There is no release at {place.parent}.", f"Copy one: {command()} releases RELEASE --to s3://BUCKET/PATH"
        ) from None
    copies = folder.path / "release-copies"
    content = hashlib.sha256(f"{place} {found}".encode()).hexdigest()[:16]
    copy = copies / f"{place.parent.name}-{content}" / folder.warehouse.name
    if not copy.exists():
        place.download(copy)
        for other in copies.iterdir():  # one at a time: a copy is as large as a release
            if other != copy.parent:
                shutil.rmtree(other, ignore_errors=True)
    return copy
