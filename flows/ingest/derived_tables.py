"""Derived tables: made of other tables of the lake by steps that SQL cannot take, and declared under `meta.derived`.

Their rows are loaded like those of any source: contract check, quarantine, commit, counts. So each row is loaded
exactly once, the next load continues after the last one, and one image that cannot be read fails alone.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, ClassVar, Protocol

import duckdb
import pyarrow as pa

from flows.config.config_hash import hash_derivation
from flows.config.connections import Connection, TableOptions
from flows.config.contract import Contract
from flows.config.settings import DataFolder
from flows.core.errors import UsageError
from flows.core.names import TableName, identifier
from flows.core.relation import Relation
from flows.ingest.augment import Recipe
from flows.ingest.load import LoadResult, load_table
from flows.ingest.pixels import decode_image, encode_png, make_thumbnail, measure_image
from flows.lake.raw import RawTable
from flows.sources.batches import Batch, Rejected, Request
from flows.sources.files.documents import Unreadable

PARENTS_A_BATCH = 500
BYTES_A_BATCH = 16 * 1024 * 1024
"""Bytes of parents that are read together, or of rows that are committed together: memory has more than one copy."""

PARENTS_AT_A_TIME = 16
READING_MEMORY = "1GB"

THUMBNAIL_SIDE = 32

Row = dict[str, Any]
Parent = tuple[int, int, int]
"""Batch, row and size in bytes."""


class Step(Protocol):
    """A step that makes rows of one parent, by its id, the hash of its content, and the content."""

    version: ClassVar[int]
    schema: ClassVar[pa.Schema]

    def rows(self, parent_id: str, sha256: str, content: bytes) -> Iterator[Row]:
        """Yield the rows of a parent; raises Unreadable for one that cannot be read."""
        ...


@dataclass(frozen=True)
class ImageFeatures:
    """Features of an image's pixels, one row an image; `version` is raised when they are computed differently."""

    version: ClassVar[int] = 1
    schema: ClassVar[pa.Schema] = pa.schema(
        [
            *((name, pa.string()) for name in ("sha256", "dominant_colour")),
            *((name, pa.int64()) for name in ("width", "height", "average_hash")),
            *((name, pa.float64()) for name in ("aspect_ratio", "mean_red", "mean_green", "mean_blue", "brightness")),
            *((name, pa.float64()) for name in ("contrast", "edge_energy", "sharpness", "dominant_colour_share")),
        ]
    )

    def rows(self, parent_id: str, sha256: str, content: bytes) -> Iterator[Row]:
        """Yield the features."""
        yield {"sha256": sha256, **measure_image(decode_image(content))}


@dataclass(frozen=True)
class ImagePixels:
    """Small copies of images for models that read pixels; `version` is raised when they are made differently."""

    version: ClassVar[int] = 1
    schema: ClassVar[pa.Schema] = pa.schema([("sha256", pa.string()), ("pixels", pa.binary())])

    def rows(self, parent_id: str, sha256: str, content: bytes) -> Iterator[Row]:
        """Yield the pixels, row by row, as bytes of red, green and blue."""
        yield {"sha256": sha256, "pixels": make_thumbnail(decode_image(content), THUMBNAIL_SIDE).tobytes()}


@dataclass(frozen=True)
class AugmentedImages:
    """Augmented images, one row each; `version` is raised when they are made differently."""

    recipe: Recipe

    version: ClassVar[int] = 1
    schema: ClassVar[pa.Schema] = pa.schema(
        [
            *((name, pa.string()) for name in ("image_id", "parent_image_id", "parent_sha256")),
            *((name, pa.string()) for name in ("operation", "parameters", "sha256")),
            *((name, pa.int64()) for name in ("width", "height", "size_bytes")),
            ("bytes", pa.binary()),
        ]
    )

    def rows(self, parent_id: str, sha256: str, content: bytes) -> Iterator[Row]:
        """Yield the children by the recipe."""
        for child in self.recipe.children(sha256, decode_image(content)):
            png = encode_png(child.pixels)
            height, width = child.pixels.shape[:2]
            yield {
                "image_id": child.image_id,
                "parent_image_id": parent_id,
                "parent_sha256": sha256,
                "operation": child.operation,
                "parameters": child.parameters,
                "bytes": png,
                "size_bytes": len(png),
                "width": width,
                "height": height,
                "sha256": hashlib.sha256(png).hexdigest(),
            }


@dataclass(frozen=True)
class Columns:
    """The columns of a parent table that hold its id, its content, and the hash of the content."""

    parent_id: str
    content: str
    sha256: str


@dataclass(frozen=True)
class DerivedTable:
    """A table of the lake as the source of another: the first row of each content, from a batch on."""

    runs_query: ClassVar[bool] = False

    parent: RawTable
    columns: Columns
    step: Step

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield the rows of new parents; the watermark is their last batch that is done."""
        stored = self.parent.stored([self.columns.parent_id, self.columns.content, self.columns.sha256])
        last_done = int(request.watermark or 0)
        if stored is None or last_done == self.parent.batch:
            return
        if last_done > self.parent.batch:  # the parent was loaded again from nothing
            last_done = 0
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": "1",
            "memory_limit": READING_MEMORY,
            "temp_directory": str(request.work / "parents"),
        }
        with duckdb.connect(config=config) as reading:
            yield from self._made(connection, reading, stored, last_done, request.watermark)

    def _made(
        self,
        connection: duckdb.DuckDBPyConnection,
        reading: duckdb.DuckDBPyConnection,
        stored: str,
        last_done: int,
        watermark: str | None,
    ) -> Iterator[Batch]:
        made: list[Row] = []
        rejected: list[Rejected] = []
        size = parents = 0
        pieces = list(_pieces(self._new_parents(reading, stored, last_done)))
        for at, (piece, done) in enumerate(pieces, start=1):
            for name, sha256, content in self._contents(reading, stored, piece):
                place = f"{self.parent.name}/{name}"
                try:
                    for number, row in enumerate(self.step.rows(name, sha256, content), start=1):
                        made.append({"_file": place, "_row": number, **row})
                        size += len(row.get("bytes", b""))
                        if size >= BYTES_A_BATCH:
                            yield self._batch(connection, made, rejected, watermark)
                            made, rejected, size, parents = [], [], 0, 0
                except Unreadable as error:
                    text = json.dumps({self.columns.parent_id: name, self.columns.sha256: sha256}, ensure_ascii=False)
                    rejected.append(Rejected(text.encode(), str(error), place))
            watermark, parents = str(done), parents + len(piece)
            if parents >= PARENTS_A_BATCH or at == len(pieces):
                yield self._batch(connection, made, rejected, watermark)
                made, rejected, size, parents = [], [], 0, 0

    def _new_parents(self, reading: duckdb.DuckDBPyConnection, stored: str, last_done: int) -> list[Parent]:
        """Return batch, row and size of the first row of each content, from batches that are not done."""
        content, sha256 = identifier(self.columns.content), identifier(self.columns.sha256)
        reading.execute(
            f"create temp table first_rows as with arrived as (select {sha256} as sha256, _batch, _row "
            f"from {stored} where not _deleted and {sha256} is not null) select _batch, _row from arrived "
            "qualify row_number() over (partition by sha256 order by _batch, _row) = 1"
        )
        return reading.execute(
            f"with sizes as (select _batch, _row, octet_length({content}) as size from {stored} "
            f"where _batch > {last_done}) select _batch, _row, size from sizes "
            "semi join first_rows using (_batch, _row) where size is not null order by _batch, _row"
        ).fetchall()

    def _contents(
        self, reading: duckdb.DuckDBPyConnection, stored: str, piece: list[Parent]
    ) -> list[tuple[str, str, bytes]]:
        """Read consecutive parents by a plain scan: a join would need more memory."""
        (first, first_row, _), (last, last_row, _) = piece[0], piece[-1]
        found = reading.execute(
            f"select cast({identifier(self.columns.parent_id)} as varchar), {identifier(self.columns.sha256)}, "
            f"{identifier(self.columns.content)}, _batch, _row from {stored} "
            f"where _batch between {first} and {last} and not _deleted and (_batch > {first} or _row >= {first_row}) "
            f"and (_batch < {last} or _row <= {last_row})"
        )
        wanted = {(batch, row): at for at, (batch, row, _) in enumerate(piece)}
        contents: dict[int, tuple[str, str, bytes]] = {}
        while rows := found.fetchmany(PARENTS_AT_A_TIME):
            for name, sha256, content, batch, row in rows:
                if (batch, row) in wanted:
                    contents[wanted[batch, row]] = (name, sha256, content)
        return [contents[at] for at in sorted(contents)]

    def _batch(
        self, connection: duckdb.DuckDBPyConnection, made: list[Row], rejected: list[Rejected], watermark: str | None
    ) -> Batch:
        schema = pa.schema([*self.step.schema, ("_file", pa.string()), ("_row", pa.int64())])
        records = Relation.from_arrow(connection, "derived_rows", pa.Table.from_pylist(made, schema=schema))
        return Batch(records, read=len(made) + len(rejected), rejected=tuple(rejected), watermark=watermark)


def _pieces(parents: list[Parent]) -> Iterator[tuple[list[Parent], int]]:
    """Cut parents into pieces of bounded size; with each comes the last batch that is done after it."""
    piece: list[Parent] = []
    size = 0
    for at, parent in enumerate(parents, start=1):
        piece.append(parent)
        size += parent[2]
        if size >= BYTES_A_BATCH or len(piece) >= PARENTS_A_BATCH or at == len(parents):
            is_done = at == len(parents) or parents[at][0] > parent[0]
            yield piece, parent[0] if is_done else parent[0] - 1
            piece, size = [], 0


def derived_tables(contracts: Mapping[TableName, Contract]) -> list[Contract]:
    """Return the contracts of derived tables, parents first; raises UsageError for a parent without a contract."""
    derived = {name: contract.derivation for name, contract in contracts.items() if contract.derivation}
    for name, derivation in derived.items():
        if derivation.of not in contracts:
            raise UsageError(
                f"{name} is derived of {derivation.of}, which has no contract.", "Fix meta.derived in its sources.yml."
            )
    try:
        order = [*TopologicalSorter({name: [derivation.of] for name, derivation in derived.items()}).static_order()]
    except CycleError as error:
        names = ", ".join(map(str, error.args[1]))
        raise UsageError(f"{names} are derived of each other.", "Fix meta.derived in their sources.yml.") from None
    return [contracts[name] for name in order if name in derived]


def derived_of(name: TableName, contracts: Mapping[TableName, Contract]) -> set[TableName]:
    """Return a table and those that are derived of it, directly or not."""
    found = {name}
    for contract in derived_tables(contracts):
        if contract.derivation and contract.derivation.of in found:
            found.add(contract.name)
    return found


def derive_table(
    contract: Contract,
    contracts: Mapping[TableName, Contract],
    folder: DataFolder,
    *,
    run_id: str,
    into: Path | None = None,
) -> LoadResult:
    """Load the rows that a derived table lacks of its parent, into the folder's lake or another.

    Raises UsageError for a step or option that does not exist, and all that a load raises.
    """
    assert contract.derivation is not None, "what is not derived has a source"
    derivation = contract.derivation
    parent = RawTable(folder.lake, derivation.of)
    step, columns = read_derivation(contract, contracts[derivation.of])
    origin = {"from": f"{derivation.of} {hash_derivation(derivation, step.version)}"}
    name, tables = contract.name, {contract.name.table: TableOptions.model_validate(origin)}
    connection = Connection(source=name.source, url="lake:", data=folder.path, tables=tables)
    source = DerivedTable(parent, columns, step)
    return load_table(connection, contract, into or folder.lake, run_id=run_id, connector=source)


def read_derivation(contract: Contract, parent: Contract) -> tuple[Step, Columns]:
    """Read a derivation as it is declared: its step, and the parent's columns, by default key, bytes and sha256."""
    assert contract.derivation is not None, "what is not derived has a source"
    where, options = f"The contract of {contract.name}: meta.derived", dict(contract.derivation.options)
    columns = Columns(
        parent_id=options.pop("id", parent.key[0]),
        content=options.pop("content", "bytes"),
        sha256=options.pop("hash", "sha256"),
    )
    for column in (columns.parent_id, columns.content, columns.sha256):
        if column not in parent.types:
            raise UsageError(
                f"{where} names the column {column!r}, which {parent.name} does not have.",
                "Say which columns are meant: `id`, `content` and `hash`.",
            )
    match contract.derivation.by:
        case "image_features" | "image_pixels" as by:
            if options:
                raise UsageError(f"{where} has {', '.join(options)}, which is no option of the step.", "Take it out.")
            return ImageFeatures() if by == "image_features" else ImagePixels(), columns
        case "augmented_images":
            return AugmentedImages(Recipe.parse(where, options)), columns
        case unknown:
            raise UsageError(f"{where}.by is {unknown!r}.", "It is image_features, image_pixels or augmented_images.")
