"""Files as bytes."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path


def holds(path: Path, content: bytes) -> bool:
    """Return whether a file has this content; in CI pytest prints the whole difference of bytes, for hours."""
    return path.read_bytes() == content


def packed(members: Mapping[str, bytes], kind: str, *further: tarfile.TarInfo) -> bytes:
    """Return an archive of files; for tar, with additional entries without content."""
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, content in members.items():
                zipped.writestr(name, content)
            for entry in further:
                link = zipfile.ZipInfo(entry.name)
                link.external_attr = (stat.S_IFLNK | 0o777) << 16
                zipped.writestr(link, entry.linkname)
        return file.getvalue()
    with tarfile.open(fileobj=file, mode="w:gz" if kind == "tar.gz" else "w") as tarred:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tarred.addfile(entry, io.BytesIO(content))
        for entry in further:
            tarred.addfile(entry)
    return file.getvalue()
