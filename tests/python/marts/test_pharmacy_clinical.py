"""Health data: no person can be identified, and the planted truth is still found."""

import hashlib
import hmac
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Warehouse

from demo.pharmacy import MADE_UP_KEY
from flows.config.settings import KEY_VARIABLE, DataFolder
from flows.core.errors import GateFailed, UsageError
from flows.core.names import TableName
from flows.warehouse.pseudonyms import MADE_UP, pseudonymised, require_pseudonym_key
from flows.warehouse.unkeyed_hashes import find_unkeyed_hashes, require_no_unkeyed_hashes

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures", "support.warehouse_fixtures"]

NOON = datetime(2026, 3, 1, 12)
KEY, OTHER_KEY = "a" * 64, "b" * 64
K = 11
CLINICAL = ("--select", "+prescriptions_deidentified")
FACT = "select prescription_pseudonym, patient_pseudonym from core.fct_prescriptions"


def pseudonym_of(text: str, purpose: str, key: str) -> str:
    """Return the expected result of the macro pseudonymise, by Python's HMAC."""
    return hmac.new(key.encode(), f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()[:32]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)


@pytest.fixture
def clinic() -> Lake:
    """Patients of a town, of villages, of great age, and two rare ones; two prescriptions each.

    The old patients' prescriptions are half a year apart, which is the whole time of the data, and those of the others
    a month.
    """
    people: dict[str, dict[str, Any]] = {f"town {number}": {} for number in range(40)}
    people |= {f"village {number}": {"postcode": f"{chr(65 + number)}Z9"} for number in range(12)}
    people |= {f"old {number}": {"birth_date": datetime(1921, 5, 1).date()} for number in range(12)}
    people |= {"foreign": {"country": "IS"}, "rare": {}}
    first_of_the_old = {f"old {number}0" for number in range(12)}
    lake = Lake()
    lake.load(
        NOON,
        crm__customers=[
            {"customer_id": person, "country": "GB", "postcode": "LS1", "gender": "f",
             "birth_date": datetime(1980, 1, 1).date(), "updated_at": NOON, **known}
            for person, known in people.items()
        ],
        clinic__prescriptions=[
            {"prescription_id": f"{person}/{number}", "customer_id": person, "prescriber": "Dr. Moss", "drug_code": "X",
             "diagnosis_code": "E75.2" if person == "rare" else "I10", "notes": f"{person} called",
             "prescribed_at": NOON + timedelta(days=-150 if f"{person}{number}" in first_of_the_old else 30 * number),
             "updated_at": NOON}
            for person in people
            for number in range(2)
        ],
    )  # fmt: skip
    return lake


def replace_in(manifest: Manifest, model: str, old: str, new: str) -> Manifest:
    """Return a project in which a model has other SQL."""
    changed = manifest.deepcopy()
    node = changed.nodes[f"model.ml_warehouse.{model}"]
    assert old in node.raw_code
    node.raw_code = node.raw_code.replace(old, new)
    return changed


def without_constraints(manifest: Manifest, model: str, column: str, data_type: str) -> Manifest:
    """Return a project in which a model's contract has only types, no constraints."""
    declared = manifest.nodes[f"model.ml_warehouse.{model}"].columns[column]
    declared.constraints, declared.data_type = [], data_type
    manifest.build_flat_graph()
    return manifest


def with_key(warehouse: Warehouse, query: str, key: str = KEY) -> list[tuple[Any, ...]]:
    """Query in a session with the key; the fact needs it, because it is a view on the lake."""
    with warehouse.connect() as connection:
        connection.execute(f"attach '{warehouse.folder}/catalog.duckdb' as lake (read_only)")
        connection.execute("set variable pseudonym_key = ?", [key.encode()])
        return connection.execute(query).fetchall()


def texts_in(pharmacy: "Pharmacy", schema: str = "%") -> set[str]:
    """Return every text of a release."""
    columns = pharmacy.rows(
        "select format('{}.{}', schema_name, table_name) as name, column_name from duckdb_columns() "
        f"where data_type = 'VARCHAR' and schema_name like '{schema}' and schema_name <> 'main' and not internal"
    )
    return {
        row["text"]
        for column in columns
        for row in pharmacy.rows(f'select distinct "{column["column_name"]}" as text from {column["name"]}')
        if row["text"] is not None
    }


def source_rows(pharmacy: "Pharmacy", query: str) -> set[str]:
    with closing(sqlite3.connect(pharmacy.folder / "source" / "clinic.sqlite")) as source:
        return {text for (text,) in source.execute(query) if text}


def test_what_was_planted_is_found_and_what_is_withheld_is_counted(pharmacy: "Pharmacy") -> None:
    # Given the number of patients by diagnosis, and the outcomes of their prescriptions
    planted = {row["diagnosis_code"]: row for row in pharmacy.planted("prescriptions")}
    shown = {
        row["diagnosis_code"]: row
        for row in pharmacy.rows(
            "select diagnosis_code, count(*) as prescriptions, count(distinct patient_pseudonym) as patients "
            "from clinical.prescriptions_deidentified group by diagnosis_code"
        )
    }
    outcomes = {
        row["outcome"]: row["prescription_count"] for row in pharmacy.rows("from clinical.prescriptions_withheld")
    }
    rare = {code for code, row in planted.items() if code and row["is_rare"]}

    # Then rare diagnoses are hidden, the others are shown, and no group is small
    assert rare
    assert not rare & shown.keys()
    assert {"I10", "E11.9", "E03.9"} <= shown.keys()
    assert min(row["patients"] for row in shown.values()) >= K
    for code, row in shown.items():
        assert code is None or "." not in code or row["prescriptions"] <= planted[code]["prescription_count"]

    # And every prescription is either shown or counted as withheld, except for small counts
    accepted = pharmacy.rows("select sum(share_pct) as all_pct from clinical.prescriptions_withheld")[0]["all_pct"]
    published = sum(count for outcome, count in outcomes.items() if not outcome.startswith("withheld"))
    assert published == sum(row["prescriptions"] for row in shown.values())
    assert accepted == pytest.approx(100)
    counted = sum(count or 0 for count in outcomes.values())
    assert abs(counted - sum(row["prescription_count"] for row in planted.values())) < 0.05 * counted


def test_the_old_are_one_group(pharmacy: "Pharmacy") -> None:
    assert sum(row["patient_over_89_count"] for row in pharmacy.planted("prescriptions")) > 0
    ages = pharmacy.rows("select max(age_from_years) as oldest from clinical.prescriptions_deidentified")
    assert ages[0]["oldest"] is None or ages[0]["oldest"] <= 90


def test_no_identifier_note_or_key_leaves_the_lake(pharmacy: "Pharmacy") -> None:
    # Given the identifying values in the clinic's own records
    prescribers = source_rows(pharmacy, "select distinct prescriber from prescriptions")
    notes = source_rows(pharmacy, "select distinct notes from prescriptions")
    numbers = source_rows(pharmacy, "select prescription_id from prescriptions")
    customers = source_rows(pharmacy, "select distinct customer_id from prescriptions")
    assert min(map(len, (prescribers, notes, numbers, customers))) > 3

    # Then the release has none of them, the clinical schema has no customer id, and no table leads to one
    everything = texts_in(pharmacy)
    assert not (prescribers | notes | numbers) & everything
    assert not customers & texts_in(pharmacy, "clinical")
    assert pharmacy.rows("select view_name from duckdb_views() where not internal and schema_name <> 'main'") == []
    assert pharmacy.rows("from duckdb_tables() where table_name like '%prescriptions' and schema_name = 'core'") == []

    # And no file but the demo's own contains the key
    folder = DataFolder(pharmacy.folder)
    holders = {path for path in folder.path.rglob("*") if path.is_file() and MADE_UP_KEY.encode() in path.read_bytes()}
    assert holders == {folder.made_up_key}


def test_pseudonyms_are_pythons_hmac_and_of_one_purpose_each(clinic: Lake, incremental: Warehouse) -> None:
    incremental.build(clinic, *CLINICAL)
    rows = with_key(incremental, f"{FACT} order by all")
    expected = [
        (pseudonym_of(f"{person}/{number}", "prescription", KEY), pseudonym_of(person, "patient", KEY))
        for person in {row["customer_id"] for row in clinic.arrived["crm.customers"]}
        for number in range(2)
    ]
    assert rows == sorted(expected)
    published = incremental.rows("select patient_pseudonym from clinical.prescriptions_deidentified")
    assert published
    assert not {patient for (patient,) in published} & {patient for _, patient in rows}


@pytest.mark.slow
def test_another_key_makes_other_pseudonyms_of_everything(
    clinic: Lake, incremental: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a warehouse with an incremental fact
    only = (*CLINICAL, "+fct_order_lines")
    incremental.build(clinic, *only)
    mart = "select prescription_pseudonym, patient_pseudonym from clinical.prescriptions_deidentified"
    before = {text for row in incremental.rows(mart) for text in row}
    noted = incremental.rows("select definition from core.incremental_state")

    # When the key is changed
    monkeypatch.setenv(KEY_VARIABLE, OTHER_KEY)
    incremental.build(clinic, *only)

    # Then no old pseudonym is left, and all incremental models were fully refreshed
    after = {text for row in incremental.rows(mart) for text in row}
    assert len(before) == len(after) > 0
    assert not before & after
    assert not set(noted) & set(incremental.rows("select definition from core.incremental_state"))


def test_without_a_key_nothing_is_read_or_built(
    clinic: Lake, incremental: Warehouse, manifest: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Given a folder without a key
    monkeypatch.delenv(KEY_VARIABLE)
    folder, clinical = DataFolder(tmp_path / "shop"), TableName("clinic", "prescriptions")
    assert pseudonymised(manifest) == {clinical}

    # Then a set with the clinic's source is refused, with the command that makes a key; other sets are not
    with pytest.raises(UsageError, match=f"export {KEY_VARIABLE}=.*secrets.token_hex"):
        require_pseudonym_key(folder, manifest, {clinical})
    assert require_pseudonym_key(folder, manifest, {TableName("crm", "customers")}) == ()

    # And dbt in a terminal builds no clinical model, and says why
    result = incremental.dbt(clinic, "build", *CLINICAL, "--exclude", "resource_type:unit_test")
    said = " ".join(str(node.message) for node in result.result)
    assert not result.success
    assert "No key for pseudonyms" in said
    assert "secrets.token_hex" in said
    assert incremental.rows("from duckdb_tables() where table_name = 'prescriptions_deidentified'") == []


def test_a_key_that_can_be_guessed_is_refused_and_a_made_up_one_is_told(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, clinical = DataFolder(tmp_path), TableName("clinic", "prescriptions")
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    with pytest.raises(UsageError, match="6 characters"):
        require_pseudonym_key(folder, manifest, {clinical})
    monkeypatch.delenv(KEY_VARIABLE)
    folder.made_up_key.write_text(MADE_UP_KEY)
    assert require_pseudonym_key(folder, manifest, {clinical}) == (MADE_UP,)
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert require_pseudonym_key(folder, manifest, {clinical}) == ()


def hashes_of(guesses: Iterable[str], *keys: str) -> dict[str, str]:
    """Return the dictionary of an attacker: unkeyed hashes of all guesses, and HMACs under the attacker's keys."""
    found = {}
    for guess in guesses:
        for spelled in (guess, f"patient:{guess}", f"{len(guess)}:{guess}"):
            for hashed in (hashlib.md5, hashlib.sha1, hashlib.sha256):
                digest = hashed(spelled.encode()).hexdigest()
                found |= {digest: guess, digest[:32]: guess}
        found |= {pseudonym_of(guess, "patient", key): guess for key in keys}
    return found


def test_fault_65_a_dictionary_of_all_ids_is_hashed_and_compared(clinic: Lake, incremental: Warehouse) -> None:
    """All possible ids are hashed and compared with the pseudonyms: a match needs the key: F."""
    # Given the pseudonyms, and an attacker with a list of all ids
    incremental.build(clinic, *CLINICAL)
    pseudonyms = {patient for _, patient in with_key(incremental, FACT)}
    ids = {row["customer_id"] for row in clinic.arrived["crm.customers"]}

    # Then the attacker's dictionary matches no pseudonym, even with other keys
    assert not pseudonyms & hashes_of(ids, OTHER_KEY, "").keys()

    # And with the right key it would match every pseudonym
    assert pseudonyms <= hashes_of(ids, KEY).keys()


def test_fault_65_a_plain_hash_of_an_identifier_is_refused(clinic: Lake, incremental: Warehouse) -> None:
    """Unkeyed hashes replace identifiers: salted, of masked values, or a model later: the gate names each: F, A."""
    # Given models that hash without the key, in each of several ways
    staging = "stg_clinic__prescriptions"
    for model, old, new in (
        (staging, "{{ pseudonymise('customer_id', purpose='patient') }}", "md5(customer_id)"),
        (staging, "{{ pseudonymise('prescription_id', purpose='prescription') }}", "sha1('salt' || prescription_id)"),
        (
            staging,
            "{{ pseudonymise('prescriber', purpose='prescriber') }}",
            "sha256(prescriber || cast(getvariable('pseudonym_key') as varchar))",
        ),
        ("fct_prescriptions", "prescriptions.dosage,", "md5(upper(prescriptions.dosage)) as dosage,"),
        (
            "stg_crm__customer_history",
            "{{ mask_date_to_year('birth_date') }}",
            "cast(hash({{ mask_date_to_year('birth_date') }}) % 1000 as integer)",
        ),
    ):
        incremental.manifest = replace_in(incremental.manifest, model, old, new)

    # When they are built, then the gate refuses each of them, and says what to do
    built = incremental.build(clinic, "--select", "+fct_prescriptions").result
    models = [node.node for node in built if node.node.resource_type == "model"]
    with pytest.raises(GateFailed, match="pseudonymise") as refused:
        require_no_unkeyed_hashes(incremental.manifest, models)
    assert {str(finding) for finding in refused.value.findings} == {
        f"{staging}: patient_pseudonym is a plain md5 of clinic.prescriptions.customer_id",
        f"{staging}: prescription_pseudonym is a plain sha1 of clinic.prescriptions.prescription_id",
        f"{staging}: prescriber_pseudonym is a plain sha256 of clinic.prescriptions.prescriber",
        "fct_prescriptions: dosage is a plain md5 of clinic.prescriptions.dosage",
        "stg_crm__customer_history: birth_year is a plain hash of crm.customers.birth_date",
    }


def test_a_plain_hash_that_is_meant_is_stated_with_its_reason(clinic: Lake, incremental: Warehouse) -> None:
    # Given a model that hashes one column without the key, and declares this column
    old = "{{ pseudonymise('customer_id', purpose='patient') }}"
    incremental.manifest = replace_in(incremental.manifest, "stg_clinic__prescriptions", old, "md5(customer_id)")
    stated = incremental.manifest.nodes["model.ml_warehouse.stg_clinic__prescriptions"].config.meta
    built = [node.node for node in incremental.build(clinic, "--select", "stg_clinic__prescriptions").result[1:]]
    assert list(find_unkeyed_hashes(incremental.manifest, built))

    # Then that column passes, and no other column
    stated["unkeyed_hashes"] = {"clinic.prescriptions.prescriber": "another one"}
    assert list(find_unkeyed_hashes(incremental.manifest, built))
    stated["unkeyed_hashes"] = {"clinic.prescriptions.customer_id": "ids are drawn at random"}
    assert list(find_unkeyed_hashes(incremental.manifest, built)) == []


MART = "prescriptions_deidentified__"
BY_PLACE, BY_DIAGNOSIS = "area_age_and_gender_are_k_anonymous", "diagnosis_is_k_anonymous"
BY_DRUG, BY_LENGTH = "drug_is_k_anonymous", "series_length_is_uncertain"
ANONYMITY = {f"{MART}{gate}" for gate in (BY_PLACE, BY_DIAGNOSIS, BY_DRUG, BY_LENGTH)}


@dataclass(frozen=True)
class Break:
    """A defect that is made on purpose: its model, its SQL, and the gates that must close."""

    model: str
    old: str
    new: str
    failing: set[str]
    data_type: tuple[str, str] | None = None

    def break_it(self, manifest: Manifest) -> Manifest:
        """Return the project with the defect; a column with a changed type loses its constraints too."""
        changed = replace_in(manifest, self.model, self.old, self.new)
        if self.data_type:
            changed = without_constraints(changed, "prescriptions_deidentified", *self.data_type)
        return changed


BROKEN = {
    "small area": Break(
        "int_prescriptions_generalised", "when patients.generalisation_step < 1 then", "when true then", {BY_PLACE}
    ),
    "age over 89": Break(
        "int_prescriptions_generalised",
        "{{ mask_age_to_band('age_years') }}",
        "age_years",
        {BY_PLACE, BY_DIAGNOSIS, BY_DRUG},
        ("age_from_years", "integer"),
    ),
    "rare diagnosis": Break(
        "int_prescriptions_generalised",
        "rare_drugs_left_out.diagnosis_code_kept as diagnosis_code",
        "prescriptions_of_patients.diagnosis_code",
        {BY_DIAGNOSIS},
    ),
    "group of one": Break("prescriptions_deidentified", "where not is_withheld", "", {BY_PLACE, BY_DRUG}),
    "series as long as the data": Break(
        "prescriptions_deidentified",
        "days_counted.days_since_first_prescription <= longest_interval.longest_days",
        "true",
        {BY_LENGTH},
    ),
    "a day": Break(
        "prescriptions_deidentified",
        "cast(extract(year from days_counted.shifted_date) as integer) as shifted_year",
        "days_counted.shifted_date as shifted_year",
        {BY_PLACE, BY_DIAGNOSIS, BY_DRUG},
        ("shifted_year", "date"),
    ),
}


@pytest.mark.slow
def test_fault_70_a_person_who_stands_out(clinic: Lake, incremental: Warehouse) -> None:
    """A small area, age over 89, day, rare diagnosis, group of one or long series is shown: the gate fails: F."""
    # Given a warehouse in which no person can be singled out
    whole = incremental.manifest
    assert failed_gates(incremental, clinic, "+prescriptions_deidentified") == set()

    for broken, gates in BROKEN.items():
        # When a model no longer suppresses one kind of value, then the gates for this kind fail
        incremental.manifest = gates.break_it(whole)
        assert failed_gates(incremental, clinic, "int_prescriptions_generalised+") == gates.failing, broken


def failed_gates(warehouse: Warehouse, lake: Lake, select: str) -> set[str]:
    """Build and test; return the anonymity gates that failed."""
    built = warehouse.dbt(lake, "build", "--select", select, "--exclude", "resource_type:unit_test").result
    gates = [node for node in built if node.node.name in ANONYMITY]
    assert {str(gate.status) for gate in gates} <= {"pass", "fail"}
    assert len(gates) == 4
    return {gate.node.name.removeprefix(MART) for gate in gates if str(gate.status) == "fail"}


def test_those_who_stand_out_are_withheld_or_blurred(clinic: Lake, incremental: Warehouse) -> None:
    # Given rare patients, when all models are built without a defect
    incremental.build(clinic, *CLINICAL, "prescriptions_withheld")
    groups = incremental.rows(
        "select country, postcode_area, age_from_years, gender, count(distinct patient_pseudonym) "
        "from clinical.prescriptions_deidentified group by all order by all"
    )
    diagnoses = incremental.rows("select distinct diagnosis_code from clinical.prescriptions_deidentified order by all")

    # Then villages have no area, an age of 100 is 90, Iceland is hidden, and a common diagnosis is hidden with the rare
    # one
    assert groups == [
        ("GB", "LS", 40, "f", 41),
        ("GB", "LS", 90, "f", 12),
        ("GB", None, 40, "f", 12),
    ]
    assert diagnoses == [(None,)]
    outcomes = dict(incremental.rows("select outcome, prescription_count from clinical.prescriptions_withheld"))
    assert outcomes == {"generalised": 2 * 65, "withheld, too few alike": None}

    # And intervals are equal to those of the source
    days = incremental.rows("select distinct days_since_first_prescription from clinical.prescriptions_deidentified")
    assert set(days) == {(0,), (30,), (None,)}


def test_nothing_beside_a_value_that_was_left_out_tells_whose_it_was(incremental: Warehouse) -> None:
    """A flag for removed values would identify rare patients among the patients who have no value."""
    # Given two patients with a rare drug, thirty without a drug, and forty with a common one
    drugs = {f"P{number}": None if number < 30 else "RARE" if number < 32 else "COMMON" for number in range(72)}
    lake = Lake()
    lake.load(
        NOON,
        crm__customers=[{"customer_id": person, "country": "GB", "updated_at": NOON} for person in drugs],
        clinic__prescriptions=[
            {"prescription_id": person, "customer_id": person, "drug_code": drug, "prescribed_at": NOON,
             "updated_at": NOON}
            for person, drug in drugs.items()
        ],
    )  # fmt: skip

    # When they are shown, then no other column splits a drug into small groups
    incremental.build(lake, *CLINICAL)
    columns = {name for (name,) in incremental.rows(
        "select column_name from duckdb_columns() where table_name = 'prescriptions_deidentified'"
    )} - {"prescription_pseudonym", "patient_pseudonym", "shifted_year"}  # fmt: skip
    for column in columns:
        groups = incremental.rows(
            f"select drug_code, {column}, count(distinct patient_pseudonym) "
            "from clinical.prescriptions_deidentified group by all"
        )
        assert sorted(count for *_, count in groups) == [32, 40], column
