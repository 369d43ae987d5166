"""The pharmacy's files and pictures on S3, under the names that they have in the data folder."""

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from flows.config.settings import PROJECT, prepare_s3
from flows.core.errors import SourceFailed, UsageError
from flows.core.object_store import S3Failed, S3Path

AT_ONCE = 16
"""Requests at the same time: one alone waits for the network nearly all of its time."""

RULES = "rules"
"""The source whose files are part of the demo, since they do not change from day to day."""


@dataclass(frozen=True)
class Bucket:
    """A place on S3, such as s3://BUCKET/PREFIX; the access to it is in the environment."""

    sources: ClassVar[tuple[str, ...]] = ("content", "web", "payments", "equipment", "lending", RULES)

    url: str

    def entry(self, source: str, entry: Mapping[str, Any], url: str) -> Mapping[str, Any]:
        """Return an entry whose URL is the source's folder; its files keep their names."""
        return {**entry, "url": f"{url}/{source}"}

    def feed(self, folder: Path, sources: Collection[str]) -> None:
        """Copy the files that are not there yet; raises UsageError if others are there, and SourceFailed."""
        prepare_s3()
        place = S3Path(self.url)
        if len(place.parts) < 2:
            raise UsageError("The URL after --into names no bucket.", "Name one: s3://BUCKET/PREFIX.")
        try:
            for source in sources:
                _mirror(PROJECT / "demo" / RULES if source == RULES else folder / source, place / source)
        except S3Failed as failed:
            raise SourceFailed("demo", f"S3 takes no files: {failed.cause}", failed.remedy) from None


def _mirror(folder: Path, place: S3Path) -> None:
    """Bring a place to what a folder holds; a file is copied if its object is smaller, larger or older."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    there = {path.relative_to(place).as_posix(): path.stat() for path in place.rglob("*")}
    if foreign := sorted(there.keys() - files.keys()):
        raise UsageError(
            f"The place after --into holds files that are not of this pharmacy, such as {place.name}/{foreign[0]}.",
            "Name another prefix, or delete them.",
        )

    def copy(name: str) -> None:
        found, file = there.get(name), files[name].stat()
        if found is None or found.st_size != file.st_size or found.st_mtime < file.st_mtime:
            (place / name).upload(files[name])

    with ThreadPoolExecutor(AT_ONCE) as workers:
        list(workers.map(copy, files))
