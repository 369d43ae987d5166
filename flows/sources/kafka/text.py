"""Bytes of keys, headers and fields as texts."""


def as_text(raw: bytes | str) -> str:
    """Return bytes as text; those that are no UTF-8, or hold a zero byte, are written in hexadecimal, as 0x0102."""
    if isinstance(raw, str):
        return raw
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return f"0x{raw.hex()}"
    return f"0x{raw.hex()}" if "\0" in text else text
