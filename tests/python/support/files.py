"""Files as bytes."""

from pathlib import Path


def holds(path: Path, content: bytes) -> bool:
    """Return whether a file has this content; in CI pytest prints the whole difference of bytes, for hours."""
    return path.read_bytes() == content
