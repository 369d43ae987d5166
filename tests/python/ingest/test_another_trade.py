"""Another trade brings its data by a connections file alone: the lake holds what each source held."""

import pytest
from support.nursery import Write, check_three_rounds, write_csv, write_json, write_parquet, write_sqlite
from support.shop import Shop

FILES: dict[str, Write] = {"CSV": write_csv, "JSON": write_json, "Parquet": write_parquet}


@pytest.mark.parametrize("load", ["append", "upsert", "full"])
def test_three_loads_of_a_database_hold_what_it_held(shop: Shop, load: str) -> None:
    check_three_rounds(shop, write_sqlite, load, is_whole=True, girth="nullif(girth_cm, '')")


@pytest.mark.parametrize("load", ["append", "upsert", "full"])
@pytest.mark.parametrize("kind", FILES)
def test_three_loads_of_a_folder_hold_what_its_files_held(shop: Shop, kind: str, load: str) -> None:
    check_three_rounds(shop, FILES[kind], load, is_whole=load == "full", ragged=1 if kind == "CSV" else 0)
