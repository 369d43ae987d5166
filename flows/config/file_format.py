"""How the files of a table are written, where the files themselves do not say it."""

import codecs
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from flows.config.validation import ConfigModel, Text

UTF_8 = "utf-8"


def _require_encoding(name: str) -> str:
    try:
        "".encode(name)
    except LookupError:
        raise ValueError(f"is {name!r}, which is no encoding; write one such as utf-16, latin-1 or cp1252") from None
    return name


def _require_sign(sign: str) -> str:
    if len(sign) != 1 or sign in "\r\n" or not sign.isascii():
        raise ValueError(f'is {sign!r}; write one ASCII character in quotes, such as ";" or "\\t"')
    return sign


Encoding = Annotated[str, AfterValidator(_require_encoding)]
Sign = Annotated[str, AfterValidator(_require_sign)]


class FileFormat(ConfigModel):
    """How files are written: `encoding` for all texts, `header` and `skip` for workbooks too, the others for CSV."""

    encoding: Encoding = Field(default=UTF_8, description="Such as utf-16, latin-1 or cp1252; default: UTF-8")
    delimiter: Sign | None = Field(default=None, description="Default: , ; | or tab, of which the header has most")
    quote: Sign = Field(default='"', description="The sign around cells that hold a delimiter or an end of a line")
    header: tuple[Text, ...] = Field(default=(), description="The names of the columns of files that have no header")
    skip: int = Field(default=0, ge=0, description="Lines or rows before the header, or the first record")
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(), description="Fixed width: the characters of each column, in place of a delimiter"
    )

    @property
    def is_utf_8(self) -> bool:
        """Whether files are UTF-8, with a byte order mark or without."""
        return codecs.lookup(self.encoding).name in ("utf-8", "utf-8-sig", "ascii")

    @model_validator(mode="after")
    def _require_consistent(self) -> Self:
        if self.widths and self.delimiter:
            raise ValueError("has both widths and a delimiter; write one of them")
        if self.widths and self.header and len(self.widths) != len(self.header):
            raise ValueError(f"has {len(self.widths)} widths and {len(self.header)} names under header")
        if self.delimiter == self.quote:
            raise ValueError(f"has {self.quote!r} as delimiter and as quote")
        return self
