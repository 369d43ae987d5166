"""Two accounts of one person are found in shops of any size and language, and the stated probabilities hold."""

import random
from datetime import date, datetime, timedelta
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import pytest
from support.lake_by_hand import Lake, Row, Warehouse

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures", "support.warehouse_fixtures"]

NOON = datetime(2026, 3, 1, 12)
Pair = tuple[str, str]
GIVEN = {
    "pt": ["João", "Maria", "António", "Inês", "Luís", "Nuno", "Beatriz", "Tomás", "Graça", "Vítor", "Leonor", "Íris"],
    "tr": ["Ayşe", "Mehmet", "Çağla", "Özgür", "Gülşen", "İbrahim", "Şule", "Yiğit", "Ömer", "Elif", "Uğur", "Nazlı"],
}
FAMILY = {
    "pt": [
        "Conceição",
        "Magalhães",
        "Fonseca",
        "Araújo",
        "Guimarães",
        "Teixeira",
        "Leitão",
        "Queirós",
        "Falcão",
        "Vaz",
    ],
    "tr": ["Yılmaz", "Öztürk", "Şahin", "Çelik", "Aydın", "Güneş", "Koç", "Kılıç", "Işık", "Türkoğlu", "Bozkurt"],
}
STREETS = {
    "pt": ["Rua da Alegria", "Travessa do Carmo", "Largo de São Bento", "Avenida da Boavista", "Beco do Forno"],
    "tr": ["Bağdat Caddesi", "İnönü Sokağı", "Gül Sokak", "Çınar Caddesi", "Kuyu Çıkmazı"],
}


def misspell(chance: random.Random, text: str) -> str:
    """Double, drop or swap a letter, as hands in a hurry do."""
    at = chance.randrange(1, len(text) - 1)
    return chance.choice(
        [
            text[:at] + text[at] + text[at:],
            text[:at] + text[at + 1 :],
            text[: at - 1] + text[at] + text[at - 1] + text[at + 1 :],
        ]
    )


def make_people(language: str, size: int, seed: int = 1) -> tuple[list[Row], set[Pair]]:
    """Make people, of whom every fifth has a second account with other spellings, and return the pairs."""
    chance = random.Random(f"{language} {seed}")
    given, family, streets = GIVEN[language], FAMILY[language], STREETS[language]
    rows: list[Row] = []
    pairs: set[Pair] = set()
    for number in range(size):
        first, last = chance.choice(given), chance.choice(family)
        born = date(1950, 1, 1) + timedelta(days=chance.randrange(20_000))
        person = {
            "customer_id": f"{language}{number:04}",
            "full_name": f"{first} {last}",
            "email": f"{first[:4]}.{last}{chance.randrange(100)}@mail.example".lower(),
            "phone": f"+35 {chance.randrange(10**8, 10**9)}",
            "birth_date": born,
            "street": f"{chance.choice(streets)} {chance.randrange(1, 90)}",
            "postcode": f"{chance.randrange(1000, 1060)}",
        }
        rows.append({"updated_at": NOON, **person})
        if number % 5 == 0:
            again = {**person, "customer_id": f"{language}{number:04}x"}
            again["full_name"] = chance.choice(
                [person["full_name"], f"{last} {first}", misspell(chance, f"{first} {last}")]
            )
            if chance.random() < 0.5:
                again["email"] = chance.choice([None, f"{last}{chance.randrange(1000)}@post.example".lower()])
            if chance.random() < 0.5:
                again["phone"] = chance.choice([None, f"0{chance.randrange(10**8, 10**9)}"])
            if chance.random() < 0.3:
                again["birth_date"] = chance.choice([None, born.replace(year=born.year + 1, day=min(born.day, 28))])
            if chance.random() < 0.4:
                again |= {"street": f"{chance.choice(streets)} {chance.randrange(1, 90)}", "postcode": "2100"}
            rows.append({"updated_at": NOON, **again})
            pairs.add((person["customer_id"], again["customer_id"]))
    return rows, pairs


def find_pairs(warehouse: Warehouse, rows: list[Row], *options: str) -> dict[Pair, float]:
    """Build the matches of customers, and return the pairs with their probabilities."""
    lake = Lake()
    lake.load(NOON, crm__customers=rows)
    warehouse.build(lake, "--select", "+duplicate_customer_pairs", *options)
    found = warehouse.rows(
        "select customer_id, other_customer_id, match_probability from marketing.duplicate_customer_pairs"
    )
    return {(one, other): probability for one, other, probability in found}


def score(found: set[Pair], pairs: set[Pair]) -> tuple[float, float, float]:
    """Return precision, recall and F1."""
    hits = len(found & pairs)
    precision, recall = hits / max(len(found), 1), hits / len(pairs)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def require_calibration(found: dict[Pair, float], pairs: set[Pair], tolerances: dict[float, float]) -> None:
    """Compare, from each bound to the next, the mean probability with the share of pairs that are one person."""
    for (low, tolerance), (high, _) in pairwise([*tolerances.items(), (1.01, 0.0)]):
        inside = [(probability, pair in pairs) for pair, probability in found.items() if low <= probability < high]
        if len(inside) >= 20:
            stated = sum(probability for probability, _ in inside) / len(inside)
            seen = sum(is_one for _, is_one in inside) / len(inside)
            assert abs(stated - seen) <= tolerance, (low, high, len(inside), stated, seen)


@pytest.mark.parametrize(
    ("language", "size", "least"),
    [
        ("pt", 60, 0.93),
        pytest.param("tr", 60, 0.84, marks=pytest.mark.slow),
        pytest.param("pt", 300, 0.93, marks=pytest.mark.proof),
        pytest.param("tr", 300, 0.92, marks=pytest.mark.proof),
        pytest.param("pt", 1500, 0.93, marks=pytest.mark.slow),
        pytest.param("tr", 1500, 0.94, marks=pytest.mark.slow),
    ],
)
def test_second_accounts_are_found_in_a_shop_of_any_size(
    language: str, size: int, least: float, incremental: Warehouse
) -> None:
    # Given people of whom every fifth has two accounts; when they are matched, then hardly a pair is wrong
    rows, pairs = make_people(language, size)
    precision, _, f1 = score(set(find_pairs(incremental, rows)), pairs)
    assert precision >= 0.98
    assert f1 >= least


@pytest.mark.slow
@pytest.mark.parametrize("size", [300, 1500, 5000])
@pytest.mark.parametrize("language", ["pt", "tr"])
def test_probabilities_hold_in_every_range(language: str, size: int, incremental: Warehouse) -> None:
    # Given pairs of all probabilities; then as many are one person as is stated
    rows, pairs = make_people(language, size)
    found = find_pairs(incremental, rows, "--vars", "duplicate_probability: 0.001")
    assert len(found) > len(pairs) * 0.9
    require_calibration(found, pairs, {0.001: 0.02, 0.05: 0.1, 0.3: 0.1, 0.95: 0.02})

    # And their number is that of the planted pairs, within a tenth
    assert sum(found.values()) == pytest.approx(len(pairs), rel=0.1)


def test_people_of_one_name_with_one_mailbox_are_several_if_their_other_fields_differ(incremental: Warehouse) -> None:
    # Given a club with many members of one name, whose mailboxes are the name and a number that often repeats
    chance = random.Random(7)
    names = ["Ana Vaz", "Rui Leitão", "Eva Falcão", "Ivo Araújo"]
    rows: list[Row] = [
        {
            "updated_at": NOON,
            "customer_id": f"M{number:03}",
            "full_name": name,
            "email": f"{name.split()[0].lower()}{chance.randrange(40)}@club.example",
            "phone": f"+35 {chance.randrange(10**8, 10**9)}",
            "birth_date": date(1950, 1, 1) + timedelta(days=chance.randrange(20_000)),
            "street": f"Rua Nova {number}",
            "postcode": "1000",
        }
        for number in range(300)
        for name in [chance.choice(names)]
    ]

    # When they are matched, then no pair is found, and the model has learnt that name and mailbox go together
    assert find_pairs(incremental, rows, "--vars", "duplicate_probability: 0.3") == {}
    lifts = incremental.rows(
        "select u_lift from staging.stg_crm__match_estimates "
        "where field = 'person_name' and agreement = 'same' and given_field = 'email'"
    )
    assert lifts[0][0] > 2


@pytest.mark.slow
def test_the_weights_are_fitted_to_the_shop_and_are_the_same_each_time(incremental: Warehouse, full: Warehouse) -> None:
    # Given a shop of which every fifth customer has two accounts, in two orders of arrival
    rows, pairs = make_people("tr", 300)
    fitted = find_pairs(incremental, rows)
    again = find_pairs(full, rows[::-1])

    # When it is fitted twice, then the estimates are equal, and the share of second accounts is near to the planted one
    assert fitted == pytest.approx(again, abs=1e-9)
    estimates: Any = incremental.rows("select max(duplicate_share) from staging.stg_crm__match_estimates")
    assert 0.6 < estimates[0][0] / (2 * len(pairs) / len(rows)) < 1.1

    # And the probabilities of a field's agreements add up to 1
    sums = incremental.rows(
        "select sum(m_probability) from staging.stg_crm__match_estimates where given_field = 'none' group by field"
    )
    assert [total for (total,) in sums] == pytest.approx([1] * 5)


def test_stated_probabilities_hold_for_the_planted_people_of_the_pharmacy(pharmacy: "Pharmacy") -> None:
    # Given the planted second accounts, among those in the warehouse
    known = {row["customer_id"] for row in pharmacy.rows("select customer_id from marketing.customer_360")}
    first = {row["customer_id"]: row["first_customer_id"] for row in pharmacy.planted("duplicate_customers")}
    people: dict[str, set[str]] = {}
    for customer in known:
        people.setdefault(first.get(customer, customer), set()).add(customer)
    pairs = {pair for accounts in people.values() for pair in combinations(sorted(accounts), 2)}

    # When they are compared with the stated probabilities, then these hold
    found = {
        (row["customer_id"], row["other_customer_id"]): row["match_probability"]
        for row in pharmacy.rows("from marketing.duplicate_customer_pairs")
    }
    require_calibration(found, pairs, {0.95: 0.05})
