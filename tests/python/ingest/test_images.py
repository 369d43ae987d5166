"""Images and texts, one record per file: read within limits, stored unchanged, and never printed."""

import hashlib
import io
import struct
import zipfile
import zlib
from pathlib import Path

import duckdb
import numpy as np
import pytest
from PIL import Image
from support.shop import Shop, make_contract

from flows.config.connections import read_connections
from flows.config.settings import DataFolder
from flows.core.errors import UsageError
from flows.core.names import TableName
from flows.ingest.augment import OPERATIONS, Draw, Recipe, brighten, crop, flip, rotate
from flows.ingest.derived_tables import AugmentedImages, ImagePixels, derive_table, derived_tables
from flows.ingest.load import LoadResult, load_table
from flows.ingest.pixels import decode_image, encode_png, make_thumbnail, measure_image
from flows.lake.catalog import pin_catalog
from flows.lake.quarantine_report import reasons_of
from flows.lake.raw import RawTable
from flows.sources.files import documents
from flows.sources.files.encoding import NO_UTF_8

IMAGES = {
    "image_id": "varchar not null",
    "product_id": "varchar not null",
    "path": "varchar",
    "format": "varchar",
    "bytes": "blob not null",
    "size_bytes": "bigint",
    "width": "integer",
    "height": "integer",
    "sha256": "varchar not null",
}
MAPPED = {"image_id": "path", "product_id": "nullif(regexp_extract(path, '([^/-]+)-[0-9]+[.]', 1), '')"}
RECIPE = {
    "seed": 7,
    "copies": 2,
    "longest_side": 64,
    "operations": {
        "flip": None,
        "rotate": {"most_degrees": 20},
        "crop": {"least_pct": 60},
        "brightness": {"least_pct": 70, "most_pct": 130},
    },
}
FEATURES = make_contract(
    "content.image_features",
    {"sha256": "varchar not null", "average_hash": "bigint", "dominant_colour": "varchar"},
    key=["sha256"],
    load="upsert",
    derived={"by": "image_features", "of": "content.images"},
)
AUGMENTED = make_contract(
    "content.augmented_images",
    {"image_id": "varchar not null", "parent_image_id": "varchar", "operation": "varchar", "bytes": "blob"},
    key=["image_id"],
    derived={"by": "augmented_images", "of": "content.images", **RECIPE},
)


def picture(number: int = 0, size: tuple[int, int] = (12, 8), kind: str = "PNG") -> bytes:
    """Return an image that differs from the image of every other number."""
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, kind)
    return written.getvalue()


def bomb(side: int) -> bytes:
    """Return a PNG of a few bytes whose header states a width and a height in pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return b"\x89PNG\r\n\x1a\n" + chunk + picture()[33:]


@pytest.fixture
def images(shop: Shop) -> Shop:
    shop.declare("content.images", IMAGES, key=["image_id"], load="upsert")
    shop.map(**{"from": "images", "columns": MAPPED})
    return shop


def derive(shop: Shop, contract: object = FEATURES) -> LoadResult:
    contracts = {one.name: one for one in (shop.contract, FEATURES, AUGMENTED, contract)}  # type: ignore[attr-defined]
    return derive_table(contract, contracts, DataFolder.of("test"), run_id="a-run")  # type: ignore[arg-type]


def lake_rows(shop: Shop, table: str, columns: str) -> list[tuple[object, ...]]:
    stored = RawTable(shop.lake, TableName.parse(table)).stored(columns.split(", "))
    return duckdb.sql(f"select {columns} from {stored} order by _batch, _row").fetchall()


def test_a_folder_of_images_is_a_table(images: Shop, tmp_path: Path) -> None:
    # Given images of several formats, in their own folders
    contents = {
        "images/P1-1.png": picture(1),
        "images/more/P2-1.jpg": picture(2, kind="JPEG"),
        "images/more/P3-1.GIF": picture(3, kind="GIF"),
        "images/more/P4-1.webp": picture(4, kind="WEBP"),
        "images/Thumbs.db": b"no image",
    }
    for name, content in contents.items():
        images.drop(name, content)

    # When they are loaded, twice
    load, again = images.load(), images.load()

    # Then each is a row with its bytes, and with the properties in its header
    rows = images.rows("image_id", "product_id", "format", "bytes", "size_bytes", "width", "height", "sha256")
    found = {name: tuple(further) for name, *further in rows}
    del contents["images/Thumbs.db"]
    assert found == {
        name: (
            f"P{number}", kind, content, len(content), 12, 8, hashlib.sha256(content).hexdigest(),
        )
        for number, (kind, (name, content)) in enumerate(
            zip(("png", "jpeg", "gif", "webp"), contents.items(), strict=True), start=1
        )
    }  # fmt: skip
    assert (load.counts.read, again.counts.known, again.counts.accepted) == (4, 4, 0)

    # And the catalog shows the same bytes
    catalog = tmp_path / "catalog.duckdb"
    pin_catalog(catalog, images.lake, {images.name: images.contract})
    with duckdb.connect(str(catalog)) as shown:
        assert set(shown.execute("select bytes from content.images").fetchall()) == {
            (one,) for one in contents.values()
        }


def test_the_same_picture_under_another_name_is_another_image(images: Shop) -> None:
    """A renamed CSV file is a known file, but the name of an image says which product it shows."""
    # Given an image
    images.drop("images/P1-1.png", picture(1))
    images.load()

    # When a copy of it arrives for another product, and another picture replaces it
    images.drop("images/P2-1.png", picture(1))
    images.drop("images/P1-1.png", picture(9))
    images.load()

    # Then there are two products, and the first has a new state
    assert images.rows("product_id", "bytes") == [
        ("P1", picture(1)), ("P1", picture(9)), ("P2", picture(1)),
    ]  # fmt: skip


def test_images_are_read_from_an_archive(images: Shop) -> None:
    # Given an archive of images
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("P1-1.png", picture(1))
        archive.writestr("P2-1.png", picture(2))
    images.drop("images.zip", packed.getvalue())
    images.map(**{"from": "images.zip!*.png", "columns": MAPPED | {"image_id": "split_part(path, '!', 2)"}})

    # When it is loaded, then its images are there
    images.load()
    assert images.rows("image_id") == ["P1-1.png", "P2-1.png"]


def test_fault_61_an_image_that_would_unpack_to_too_much_or_is_none_is_quarantined_as_it_came(
    images: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of images had a decompression bomb, a truncated file, a file of another kind and a large file: Q."""
    # Given a valid image among invalid ones
    whole = picture(1, (40, 40))
    wrong = {
        "P2-1.png": bomb(60_000),
        "P2-2.png": bomb(8_000),
        "P3-1.png": whole[: len(whole) // 2],
        "P4-1.png": b"<html>no</html>",
        "P5-1.png": b"",
    }
    large = picture(6, (200, 200))
    monkeypatch.setattr(documents, "LARGEST_FILE", len(large) - 1)
    monkeypatch.setattr(documents, "KEPT_OF_LARGE", 1000)
    images.drop("images/P1-1.png", whole)
    images.drop("images/P6-1.png", large)
    for name, content in wrong.items():
        images.drop(f"images/{name}", content)

    # When they are loaded, twice
    load, again = images.load(), images.load()

    # Then the valid one is loaded, and the others are quarantined with their bytes and a reason, once
    assert images.rows("product_id") == ["P1"]
    assert images.quarantine() == [
        (wrong["P2-1.png"], ["has more than 50,000,000 pixels"]),
        (wrong["P2-2.png"], ["has more than 50,000,000 pixels"]),
        (wrong["P3-1.png"], ["is a damaged image"]),
        (wrong["P4-1.png"], ["is no image"]),
        (wrong["P5-1.png"], ["is no image"]),
        (large[:1000], [f"is larger than {len(large) - 1:,} bytes; its first 1,000 are kept"]),
    ]
    assert (load.counts.read, load.counts.quarantined, again.counts.quarantined) == (7, 6, 0)


def test_no_sample_of_the_quarantine_shows_bytes(images: Shop) -> None:
    # Given a damaged image, and a valid one that breaks its contract; the bytes of both contain a text
    text = b"tEXtcanary"
    damaged = b"\x89PNG\r\n\x1a\n" + text
    images.drop("images/P1-1.png", damaged)
    images.drop("images/nameless.png", picture(1))
    images.load()

    # When reasons and samples are printed
    reasons = reasons_of(images.lake, images.name)

    # Then they contain none of the bytes, and the quarantine has all bytes
    shown = {reason.reason: reason.sample[0][1] for reason in reasons}
    assert shown["is no image"] == f"<{len(damaged)} bytes>"
    assert '"bytes": "<bytes>"' in shown["product_id: is missing"]
    assert "x89" not in repr(reasons)
    assert len(images.quarantine()) == 2

    # And the record that only breaks the contract is complete after the mapping is fixed
    images.map(**{"from": "images", "columns": MAPPED | {"product_id": "'P0'"}})
    images.load()
    assert images.rows("product_id", "bytes") == [("P0", picture(1))]


def test_a_folder_of_texts_is_a_table(shop: Shop) -> None:
    # Given texts, one of them not UTF-8
    shop.declare("content.notes", {"note_id": "varchar not null", "body": "varchar"}, key=["note_id"])
    shop.map(**{"from": "notes", "columns": {"note_id": "parse_filename(path, true)", "body": "text"}})
    shop.drop("notes/1.md", '# Grüße\n\n"quoted", and; more\n')
    shop.drop("notes/2.text", "\ufeffplain")
    shop.drop("notes/3.text", b"caf\xe9")

    # When they are loaded, then each valid text is a row, and the other is quarantined as it came
    shop.load()
    assert shop.rows("note_id", "body") == [("1", '# Grüße\n\n"quoted", and; more\n'), ("2", "plain")]
    assert shop.quarantine() == [(b"caf\xe9", [NO_UTF_8])]


def test_a_picture_is_measured() -> None:
    # Given a picture that is red with a white corner, and a picture of one grey
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :] = (200, 10, 20)
    pixels[:4, :8] = 255
    grey = np.full((5, 5, 3), 100, np.uint8)

    # When they are measured
    found, flat = measure_image(pixels), measure_image(grey)

    # Then the features are equal to those computed by hand
    assert (found["width"], found["height"], found["aspect_ratio"]) == (16, 8, 2.0)
    assert (found["mean_red"], found["mean_green"]) == (0.75 * 200 + 0.25 * 255, 0.75 * 10 + 0.25 * 255)
    assert (found["dominant_colour"], found["dominant_colour_share"]) == ("#c80a14", 0.75)
    luma = (299 * 200 + 587 * 10 + 114 * 20 + 500) // 1000
    assert found["brightness"] == 0.75 * luma + 0.25 * 255
    assert found["contrast"] == pytest.approx((255 - luma) * (0.75 * 0.25) ** 0.5)
    assert found["edge_energy"] == pytest.approx((255 - luma) * (4 + 8) / (8 * 15 + 7 * 16))
    assert found["average_hash"] & (2**64 - 1) == 0xF0F0F0F0_00000000
    assert (flat["contrast"], flat["edge_energy"], flat["sharpness"], flat["average_hash"]) == (0, 0, 0, 0)


def test_a_picture_of_sixteen_bits_is_as_bright_as_it_is() -> None:
    # Given a 16-bit ramp from black to white, and one in which a black that is not quite 0 is transparent
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    ramp[:, 1] = 1
    plain, transparent = io.BytesIO(), io.BytesIO()
    Image.fromarray(ramp).save(plain, "PNG")
    Image.fromarray(ramp).save(transparent, "PNG", transparency=1)
    assert Image.open(plain).mode == "I;16"

    # When they are decoded, then they are as in 8 bits, and transparent pixels are white
    grey = ramp >> 8
    assert (decode_image(plain.getvalue()) == grey[:, :, None]).all()
    assert measure_image(decode_image(plain.getvalue()))["brightness"] == pytest.approx(128, abs=1)
    grey[:, 1] = 255
    assert (decode_image(transparent.getvalue()) == grey[:, :, None]).all()


def test_a_picture_is_measured_alike_at_every_size() -> None:
    # Given a picture, and the same picture at twice the size
    pixels = np.asarray(Image.open(io.BytesIO(picture(3, (512, 200)))))
    large = pixels.repeat(2, axis=0).repeat(2, axis=1)

    # When both are measured, then only the sizes differ: the large one is reduced first
    one, other = measure_image(pixels), measure_image(large)
    assert {**one, "width": 1024, "height": 400} == other


def test_a_small_copy_has_the_mean_of_its_pixels_in_each_place() -> None:
    # Given a picture of 4 × 2 pixels, of which the left half is red and the right half alternates
    pixels = np.zeros((2, 4, 3), np.uint8)
    pixels[:, :2] = (200, 0, 0)
    pixels[0, 2:] = (0, 100, 40)

    # When it is made smaller, then each place has the mean of the pixels that it covers
    assert make_thumbnail(pixels, 2).tolist() == [[[200, 0, 0], [0, 100, 40]], [[200, 0, 0], [0, 0, 0]]]
    assert make_thumbnail(pixels, 1).tolist() == [[[100, 25, 10]]]
    (row,) = ImagePixels().rows("P", "hash", picture(1))
    assert (row["sha256"], len(row["pixels"])) == ("hash", 32 * 32 * 3)


SQUARE = np.array([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]], np.uint8)


def test_operations_have_known_results() -> None:
    # When a picture of four pixels is changed, then each pixel is in the right place
    assert flip(SQUARE, {}).tolist() == [[[4, 5, 6], [1, 2, 3]], [[10, 11, 12], [7, 8, 9]]]
    assert rotate(SQUARE, {"millidegrees": 90_000}).tolist() == [[[4, 5, 6], [10, 11, 12]], [[1, 2, 3], [7, 8, 9]]]
    assert rotate(SQUARE, {"millidegrees": 0}).tolist() == SQUARE.tolist()
    assert crop(SQUARE, {"left": 1, "top": 0, "width": 1, "height": 2}).tolist() == [[[4, 5, 6]], [[10, 11, 12]]]
    assert brighten(SQUARE, {"pct": 150})[0].tolist() == [[2, 3, 5], [6, 8, 9]]
    assert brighten(np.full((1, 1, 3), 200, np.uint8), {"pct": 150}).tolist() == [[[255, 255, 255]]]


def test_a_png_is_the_same_bytes_everywhere() -> None:
    """Another library, or another version of it, would write the same pixels as other bytes with another hash."""
    # When pixels are written, then the bytes are those of the PNG specification, without any variation
    assert hashlib.sha256(encode_png(SQUARE)).hexdigest() == (
        "77c6086524f185cc907810337fe4b538173c4b1724eda402367b233a6ec0a657"
    )
    for number, size in enumerate([(1, 1), (3, 500), (400, 300)]):
        pixels = decode_image(picture(number, size))
        assert (decode_image(encode_png(pixels)) == pixels).all()


def test_children_follow_from_seed_parent_and_operation_alone() -> None:
    # Given the pixels of a hash
    recipe = Recipe.parse("here", RECIPE)
    pixels = decode_image(picture(1, (40, 30)))
    children = list(recipe.children("a-hash", pixels))

    # When they are augmented again, then the children are the same, byte by byte, and have these hashes
    assert [encode_png(one.pixels) for one in recipe.children("a-hash", pixels)] == [
        encode_png(one.pixels) for one in children
    ]
    digest = hashlib.sha256(b"".join(one.pixels.tobytes() + one.parameters.encode() for one in children)).hexdigest()
    assert digest == "afb8cca9e241ebf310c4a2deda2d458bd8fbd38199289ab3926aa81aa53eaeec"
    assert len({one.image_id for one in children}) == len(children) == 7

    # And other parents and seeds have others
    others = [
        *recipe.children("another", pixels),
        *Recipe.parse("here", RECIPE | {"seed": 8}).children("a-hash", pixels),
    ]
    assert not {one.image_id for one in others} & {one.image_id for one in children}
    assert {one.parameters for one in others} != {one.parameters for one in children}


def test_parameters_are_within_their_bounds() -> None:
    # Given many draws of each operation
    recipe, pixels = Recipe.parse("here", RECIPE | {"longest_side": 64}), np.zeros((30, 40, 3), np.uint8)
    drawn = {
        name: [OPERATIONS[name].draw(Draw(f"{name}/{at}"), bounds, pixels) for at in range(500)]
        for name, bounds in recipe.operations.items()
    }

    # Then no draw is out of bounds, and some draws are near both ends
    angles = [one["millidegrees"] for one in drawn["rotate"]]
    assert -20_000 <= min(angles) < -19_000
    assert 19_000 < max(angles) <= 20_000
    assert {one["pct"] for one in drawn["brightness"]} == set(range(70, 131))
    for one in drawn["crop"]:
        assert 0 <= one["left"] <= 40 - one["width"]
        assert 0 <= one["top"] <= 30 - one["height"]
        assert 24 <= one["width"] <= 40
        assert 18 <= one["height"] <= 30


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"operations": {}}, "declares no operations"),
        ({"operations": {"melt": {}}}, "names melt"),
        ({"operations": {"rotate": {"most_degrees": 15, "by": 3}}}, "has by"),
        ({"operations": {"rotate": {}}}, "most_degrees is None"),
        ({"copies": 0}, "copies is 0"),
        ({"seeds": 1}, "has seeds"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Recipe.parse("here", RECIPE | wrong)


def test_derived_tables_are_made_of_what_is_new_exactly_once(images: Shop) -> None:
    # Given two pictures, one of them under two names
    for name, number in (("P1-1", 1), ("P2-1", 2), ("P2-2", 1)):
        images.drop(f"images/{name}.png", picture(number))
    images.load()

    # When tables are derived, twice, and again after another picture and a copy arrived
    first = derive(images), derive(images, AUGMENTED)
    again = derive(images), derive(images, AUGMENTED)
    images.drop("images/P3-1.png", picture(3))
    images.drop("images/P4-1.png", picture(2))
    images.load()
    later = derive(images), derive(images, AUGMENTED)

    # Then each content has its features once, and its children once
    assert [one.counts.accepted for one in (*first, *again, *later)] == [2, 14, 0, 0, 1, 7]
    assert [one.counts.read for one in (*first, *again)] == [2, 14, 0, 0]
    hashes = [hashlib.sha256(picture(number)).hexdigest() for number in (1, 2, 3)]
    assert [digest for (digest,) in lake_rows(images, "content.image_features", "sha256")] == hashes

    # And children have the id of their parent, an id of their own, and are images
    children = lake_rows(images, "content.augmented_images", "image_id, parent_image_id, operation, bytes")
    assert [parent for _, parent, _, _ in children[::7]] == ["images/P1-1.png", "images/P2-1.png", "images/P3-1.png"]
    assert len({image_id for image_id, *_ in children}) == 21
    assert [decode_image(content).shape for _, _, operation, content in children if operation == "flip"] == [
        (8, 12, 3)
    ] * 3


def test_an_image_that_cannot_be_decoded_fails_alone(images: Shop) -> None:
    """The header of a JPEG is valid although its end is missing; only decoding shows the error."""
    # Given a truncated JPEG among valid ones
    jpeg = picture(2, (64, 64), "JPEG")
    images.drop("images/P1-1.png", picture(1))
    images.drop("images/P2-1.jpg", jpeg[: len(jpeg) // 2])
    images.drop("images/P3-1.png", picture(3))
    assert images.load().counts.accepted == 3

    # When features are measured, twice
    load, again = derive(images), derive(images)

    # Then the valid ones have features, and the truncated one is quarantined by its id and hash
    assert (load.counts.accepted, load.counts.quarantined, again.counts.read) == (2, 1, 0)
    reasons = reasons_of(images.lake, FEATURES.name)
    assert [(reason.reason, reason.sample[0][0]) for reason in reasons] == [
        ("is a damaged image", "content.images/images/P2-1.jpg")
    ]


def test_another_recipe_makes_further_children(images: Shop) -> None:
    # Given the children of a recipe
    images.drop("images/P1-1.png", picture(1))
    images.load()
    derive(images, AUGMENTED)

    # When the recipe changes, then only the changed children are made, and none twice
    further = make_contract(
        "content.augmented_images",
        {"image_id": "varchar not null", "parent_image_id": "varchar", "operation": "varchar", "bytes": "blob"},
        key=["image_id"],
        derived={"by": "augmented_images", "of": "content.images", **RECIPE, "copies": 3},
    )
    load = derive(images, further)
    assert (load.counts.read, load.counts.accepted, load.counts.known) == (10, 3, 7)


@pytest.mark.slow
def test_a_killed_derivation_goes_on(images: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a derivation with small batches, which dies in the middle
    for number in range(6):
        images.drop(f"images/P{number}-1.png", picture(number))
    images.load()
    monkeypatch.setattr("flows.ingest.derived_tables.BYTES_A_BATCH", 1)
    made = AugmentedImages.rows

    def die(step: AugmentedImages, parent_id: str, sha256: str, content: bytes) -> object:
        if parent_id == "images/P3-1.png":
            raise KeyboardInterrupt
        return made(step, parent_id, sha256, content)

    monkeypatch.setattr(AugmentedImages, "rows", die)
    with pytest.raises(KeyboardInterrupt):
        derive(images, AUGMENTED)
    monkeypatch.setattr(AugmentedImages, "rows", made)
    before = len(lake_rows(images, "content.augmented_images", "image_id"))

    # When it is run again, then all children are there, once
    derive(images, AUGMENTED)
    children = [child for (child,) in lake_rows(images, "content.augmented_images", "image_id")]
    assert (before, len(children), len(set(children))) == (21, 42, 42)


def test_every_bounded_piece_of_a_table_is_read(images: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given pictures of several batches and a copy, and a limit of a few parents at a time
    monkeypatch.setattr("flows.ingest.derived_tables.PARENTS_A_BATCH", 2)
    for number in range(7):
        images.drop(f"images/P{number}-1.png", picture(number % 6))
        if number in (2, 3):
            images.load()
    images.load()

    # When features are measured, then each content has its own, and the watermark is the last batch
    assert derive(images).counts.accepted == 6
    assert derive(images).counts.read == 0
    hashes = {digest for (digest,) in lake_rows(images, "content.image_features", "sha256")}
    assert hashes == {hashlib.sha256(picture(number)).hexdigest() for number in range(6)}


def test_a_derived_table_of_nothing_known_is_refused() -> None:
    # Given derived tables without a parent, with each other as parent, or without a step
    def derived(table: str, of: str, by: str = "image_features") -> object:
        return make_contract(table, {"sha256": "varchar"}, key=["sha256"], derived={"by": by, "of": of})

    lost, one, other = derived("a.lost", "a.gone"), derived("a.one", "a.other"), derived("a.other", "a.one")

    # Then the error comes before any table is made
    with pytest.raises(UsageError, match=r"a\.gone, which has no contract"):
        derived_tables({lost.name: lost})  # type: ignore[attr-defined, dict-item]
    with pytest.raises(UsageError, match="of each other"):
        derived_tables({one.name: one, other.name: other})  # type: ignore[attr-defined, dict-item]
    with pytest.raises(UsageError, match=r"derived\.of is missing"):
        make_contract("a.b", {"id": "varchar"}, key=["id"], derived={"by": "image_features"})


def test_a_derived_table_has_no_mapping(images: Shop, flow_home: Path) -> None:
    from flows.ingest.tables import tables_to_load

    # Given a set of connections with a mapping for a derived table
    contracts = {one.name: one for one in (images.contract, FEATURES)}
    images.connection["tables"]["image_features"] = {"from": "features.csv"}
    images.read_connection()

    # Then that is refused; and a source without a list of tables has all tables except derived ones
    with pytest.raises(UsageError, match="image_features has no contract"):
        tables_to_load(read_connections(images.connections_file), contracts)
    images.connection.pop("tables")
    images.read_connection()
    assert [name for name, _ in tables_to_load(read_connections(images.connections_file), contracts)] == [images.name]


def test_a_picture_is_known_after_its_table_was_made_anew(images: Shop) -> None:
    # Given features of a table that is lost, and loaded again in fewer batches
    for number in range(3):
        images.drop(f"images/P{number}-1.png", picture(number))
        images.load()
    derive(images)
    moved = images.lake / "raw" / "content" / "images"
    moved.rename(moved.with_name("images_lost"))
    (images.exports / "images" / "P0-1.png").unlink()
    images.drop("images/P9-1.png", picture(9))
    load_table(images.read_connection(), images.contract, images.lake, run_id="a-run")

    # When features are measured, then the new picture has its features
    assert derive(images).counts.accepted == 1
