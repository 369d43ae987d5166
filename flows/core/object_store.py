"""Objects of S3 as paths: what pathlib says of names holds, and the few operations that an object has.

Every access is read from the environment by the Rust library that the Delta library uses too: AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID and their like. Temporary failures are tried again.
"""

import errno
import io
import os
import re
import stat
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PosixPath, PurePosixPath
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from obstore.store import S3Store

SCHEME = "s3://"

RETRIES, LONGEST_PAUSE, RETRY_SECONDS = 8, 5.0, 60
"""How often an answer of 500 or 503, or none, is tried again; the seconds between two tries, and of all together."""

CREDENTIALS = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
UNREADABLE_KEY = (
    "a key at or below it cannot be read: a part between slashes is empty, . or .., or has a control character"
)
RENAME = "Rename the object, or move it out of the prefix. Nothing was skipped. Then run again."
SIGNS = "*?["
PIECE = 8 * 1024 * 1024


class S3Failed(OSError):
    """S3 did not do what it was asked for: the place, the cause without secrets, and the remedy."""

    def __init__(self, place: str, cause: str, remedy: str, *, is_transient: bool = False) -> None:
        super().__init__(errno.EIO, cause, place)
        self.place, self.cause, self.remedy, self.is_transient = place, cause, remedy, is_transient


class Changed(Exception):
    """A conditional write found another object, or one in an empty place; nothing was written."""


def retry_options() -> dict[str, str]:
    """Return for how long the Delta library tries again, as its storage options."""
    return {
        "max_retries": str(RETRIES),
        "retry_timeout": f"{RETRY_SECONDS}s",
        "backoff_config.max_backoff": f"{LONGEST_PAUSE * 1000:.0f}ms",
    }


def describe_s3(error: BaseException | str, place: str = "s3") -> S3Failed | None:
    """Return what went wrong by the text of an error of the Rust libraries; None if it is not of S3.

    The text itself may quote addresses with signatures, and what the server has written, so it is never shown.
    """
    if isinstance(error, S3Failed):
        return error
    text = str(error)
    if "S3 error" not in text and "non-2xx status" not in text and "Error performing" not in text:
        return None
    code, status = re.search(r"<Code>(\w+)</Code>", text), re.search(r"\b([45]\d\d) ([A-Z][A-Za-z ]*[a-z])", text)
    host = re.search(r"https?://([^/\s?]+)", text)
    named = " ".join(filter(None, (status and status[1], code[1] if code else status and status[2])))
    bucket = place.removeprefix(SCHEME).partition("/")[0]
    if "169.254." in text:
        return S3Failed(place, "no credentials were found", f"Set {CREDENTIALS}. Then run again.")
    if code is not None and code[1] == "NoSuchBucket":
        return S3Failed(place, f"there is no bucket {bucket}", "Make the bucket, or name another one. Then run again.")
    if status is not None and status[1] == "404":
        return None
    if status is not None and status[1] in ("401", "403"):
        remedy = f"Look at {CREDENTIALS}, and at what they may do in the bucket {bucket}. Then run again."
        return S3Failed(place, f"access was refused: {named}", remedy)
    if status is not None and (status[1] in ("408", "429") or status[1].startswith("5")):
        cause = f"the server answered {named}, also after {RETRIES} more tries"
        return S3Failed(place, cause, "Run again later; see the state of the service.", is_transient=True)
    if status is None:
        remedy = "Look at AWS_ENDPOINT_URL, AWS_REGION and the network. Then run again."
        return S3Failed(place, f"no answer from {host[1] if host else 'the server'}", remedy, is_transient=True)
    return S3Failed(place, f"the server answered {named}", "Look at AWS_ENDPOINT_URL and AWS_REGION. Then run again.")


@contextmanager
def _failures_named(path: "S3Path") -> Iterator[None]:
    """Turn the library's errors into S3Failed; FileNotFoundError stays for an object that is not there."""
    from obstore.exceptions import AlreadyExistsError, BaseError, InvalidPathError, PreconditionError

    try:
        yield
    except (AlreadyExistsError, PreconditionError):
        raise Changed from None
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise describe_s3(error, str(path)) or error from None
        raise FileNotFoundError(errno.ENOENT, "there is no such object", str(path)) from None
    except InvalidPathError:  # its text quotes the key
        raise S3Failed(str(path), UNREADABLE_KEY, RENAME) from None
    except (BaseError, OSError) as error:
        unknown = S3Failed(str(path), type(error).__name__, "Run again.", is_transient=True)
        raise describe_s3(error, str(path)) or unknown from None


@cache
def _store(bucket: str) -> "S3Store":
    from obstore.store import S3Store

    pauses = {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=LONGEST_PAUSE), "base": 2}
    retries: Any = {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS), "backoff": pauses}
    return S3Store(bucket, retry_config=retries)


class S3Path(PosixPath):
    """An object of S3, or the folder of all objects whose keys begin with its own.

    It is no file of this machine: what a program would do with such a file raises TypeError.
    """

    found: Mapping[str, Any] | None = None
    """Size, entity tag and time, as a list has told them."""

    def __str__(self) -> str:
        return SCHEME + "/".join(self.parts[1:]) if self.parts[:1] == ("s3:",) else "/".join(self.parts)

    def __fspath__(self) -> str:
        raise TypeError(f"{self} is no file of this machine")

    @property
    def bucket(self) -> str:
        """The bucket."""
        return self.parts[1]

    @property
    def key(self) -> str:
        """The key in the bucket."""
        return "/".join(self.parts[2:])

    @property
    def etag(self) -> str:
        """The tag that changes with the content."""
        return str(self._meta()["e_tag"])

    @property
    def changed_at(self) -> datetime:
        """When it was last written, by the server's clock."""
        moment: datetime = self._meta()["last_modified"]
        return moment

    def is_file(self) -> bool:
        """Tell whether there is an object of this very key."""
        try:
            return bool(self.key) and self._meta() is not None
        except FileNotFoundError:
            return False

    def is_dir(self) -> bool:
        """Tell whether some object lies below it."""
        import obstore

        with _failures_named(self):
            return any(obstore.list(self._store, prefix=self.key or None, chunk_size=1))

    def exists(self) -> bool:
        """Tell whether it is an object or a folder."""
        return self.is_file() or self.is_dir()

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return its size and time; raises FileNotFoundError if it is no object."""
        meta = self._meta()
        moment = meta["last_modified"].timestamp()
        return os.stat_result((stat.S_IFREG, 0, 0, 1, 0, 0, meta["size"], moment, moment, moment))

    def iterdir(self) -> Generator["S3Path", None, None]:
        """Yield the objects and folders right below it."""
        folders, files = self._children()
        yield from (*folders, *files)

    def glob(self, pattern: str) -> Generator["S3Path", None, None]:
        """Yield objects and folders below it that match, each once."""
        yield from dict.fromkeys(self._matching(PurePosixPath(pattern).parts))

    def rglob(self, pattern: str) -> Generator["S3Path", None, None]:
        """Yield all objects below it whose names match."""
        import obstore

        with _failures_named(self):
            for some in obstore.list(self._store, prefix=self.key or None):
                for meta in some:
                    path = self._at(meta["path"], meta)
                    if fnmatchcase(path.name, pattern):
                        yield path

    def read_bytes(self) -> bytes:
        """Return the content."""
        return self.read()[0]

    def read(self) -> tuple[bytes, "S3Path"]:
        """Return the content, and the path with size, tag and time of that very content."""
        import obstore

        with _failures_named(self):
            answer = obstore.get(self._store, self.key)
            return bytes(answer.bytes()), self._at(self.key, answer.meta)

    def open(self, mode: str = "r", *_options: Any, **_more: Any) -> Any:
        """Open it for reading."""
        if mode not in ("r", "rb"):
            raise TypeError(f"{self} cannot be opened for writing")
        content = io.BytesIO(self.read_bytes())
        return content if mode == "rb" else io.TextIOWrapper(content, encoding="utf-8")

    def download(self, file: Path) -> None:
        """Copy it to a file of this machine, which is there when it is complete."""
        import obstore

        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.{uuid4().hex}.part")
        try:
            with _failures_named(self), part.open("wb") as output:
                for piece in obstore.get(self._store, self.key).stream(min_chunk_size=PIECE):
                    output.write(piece)
            os.replace(part, file)
        finally:
            part.unlink(missing_ok=True)

    def upload(self, file: Path) -> None:
        """Copy a file of this machine to it."""
        import obstore

        with _failures_named(self), file.open("rb") as content:
            obstore.put(self._store, self.key, content)

    def copy_to(self, target: Path) -> None:
        """Copy it to another key of its bucket, without a way through this machine."""
        import obstore

        if not isinstance(target, S3Path) or target.bucket != self.bucket:
            raise TypeError(f"{target} is not in the bucket {self.bucket}")
        with _failures_named(self):
            obstore.copy(self._store, self.key, target.key)

    def put(self, content: bytes, *, before: str | None = None) -> str:
        """Write a new object, or instead of the content whose tag was `before`; return its tag.

        Raises Changed if another writer was faster.
        """
        import obstore

        mode: Any = "create" if before is None else {"e_tag": before}
        with _failures_named(self):
            return str(obstore.put(self._store, self.key, content, mode=mode)["e_tag"])

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete it."""
        import obstore

        try:
            with _failures_named(self):
                obstore.delete(self._store, self.key)
        except FileNotFoundError:
            if not missing_ok:
                raise

    @property
    def _store(self) -> "S3Store":
        return _store(self.bucket)

    def _meta(self) -> Mapping[str, Any]:
        import obstore

        if self.found is not None:
            return self.found
        with _failures_named(self):
            found: Mapping[str, Any] = obstore.head(self._store, self.key)
            return found

    def _at(self, key: str, found: Mapping[str, Any] | None = None) -> "S3Path":
        path = S3Path(f"{SCHEME}{self.bucket}/{key}")
        path.found = found
        return path

    def _children(self) -> tuple[list["S3Path"], list["S3Path"]]:
        import obstore

        with _failures_named(self):
            listed = obstore.list_with_delimiter(self._store, prefix=self.key or None)
        keys = [key.rstrip("/") for key in listed["common_prefixes"]]
        markers = {self.key, *keys}  # consoles make an empty object for a folder, whose key ends in a slash
        files = [meta for meta in listed["objects"] if meta["size"] or meta["path"] not in markers]
        return [self._at(key) for key in keys], [self._at(meta["path"], meta) for meta in files]

    def _matching(self, parts: tuple[str, ...]) -> Iterator["S3Path"]:
        if not parts:
            yield self
            return
        first, rest = parts[0], parts[1:]
        if first == "**":
            yield from self._matching(rest) if rest else ()
            for folder in self._children()[0]:
                yield from folder._matching(parts)
        elif not any(sign in first for sign in SIGNS):
            child = self / first
            if rest or child.exists():
                yield from child._matching(rest)
        else:
            folders, files = self._children()
            for child in (*folders, *(() if rest else files)):
                if fnmatchcase(child.name, first):
                    yield from child._matching(rest)
