"""Training sets that keep their rows equal those of a full refresh, whatever arrives, changes or is taken away."""

import copy
import random
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from support.lake_by_hand import SEEDS_OF_LONG_TESTS, Lake, Row, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

DAY = timedelta(days=1)
BEGIN = datetime(2025, 1, 6)


class Kiosk:
    """A kiosk whose records come a week at a time, some late, some changed later, some as backfills or erased."""

    trained = ("train_customer_churn", "train_customer_value", "train_next_purchase", "train_product_demand")
    sources = ("sales", "crm", "shop")

    def __init__(self, seed: int, days: int = 20) -> None:
        self.random = random.Random(seed)
        self.lake = Lake()
        self.now = BEGIN + days * DAY
        self.orders = 0
        self.load(BEGIN, days, 3 * days)

    def grow_up(self) -> None:
        """Load the orders of the next half year at once."""
        self.load(self.now, 150, 400, backfill=True)
        self.now += 150 * DAY

    def load(self, since: datetime, days: int, number: int, *, backfill: bool = False) -> None:
        """Load orders of these days, and customers, products and visits with them."""
        orders = [self.order(since + self.random.random() * days * DAY) for _ in range(number)]
        lines = [
            {"order_id": one["order_id"], "line_number": 1, "product_id": f"P{self.random.randint(1, 6)}",
             "quantity": self.random.randint(1, 3), "unit_price": 5, "updated_at": one["updated_at"]}
            for one in orders
        ]  # fmt: skip
        extra = {"_is_backfill": True} if backfill else {}
        self.lake.load(
            self.now,
            sales__orders=[{**one, **extra} for one in orders],
            sales__order_lines=[{**one, **extra} for one in lines],
            crm__customers=[self.customer() for _ in range(3)],
            shop__products=[self.product() for _ in range(2)],
        )

    def order(self, at: datetime) -> Row:
        self.orders += 1
        number = self.orders if self.random.random() < 0.9 else self.random.randint(1, self.orders)
        return {
            "order_id": f"O{number}",
            "customer_id": f"C{self.random.randint(1, 25)}",
            "currency": self.random.choice(["EUR", "EUR", "CHF"]),
            "status": self.random.choice([None, None, None, "cancelled", "returned"]),
            "ordered_at": at,
            "updated_at": at,
        }

    def customer(self) -> Row:
        return {
            "customer_id": f"C{self.random.randint(1, 25)}",
            "country": self.random.choice(["GB", "DE"]),
            "updated_at": self.now - self.random.random() * 90 * DAY,
            "_deleted": self.random.random() < 0.1,
        }

    def product(self) -> Row:
        return {
            "product_id": f"P{self.random.randint(1, 6)}",
            "category": self.random.choice(["drinks", "sweets"]),
            "updated_at": self.now - self.random.random() * 90 * DAY,
        }

    def go_on(self) -> None:
        """Let one to four weeks go by; then records arrive, some late, some of old times, or some are erased."""
        weeks = self.random.randint(1, 4)
        before, self.now = self.now, self.now + 7 * weeks * DAY
        self.load(before, 7 * weeks, 25 * weeks)
        happening = self.random.choice(["late", "backfill", "erasure", "nothing"])
        if happening in ("late", "backfill"):
            self.load(BEGIN, 100, 3, backfill=happening == "backfill")
        elif happening == "erasure":
            erased = f"C{self.random.randint(1, 25)}"
            rows = [row for row in self.lake.arrived["sales.orders"] if row["customer_id"] != erased]
            self.lake.rewrite("sales.orders", rows)


class Till:
    """A till whose payments and reports of fraud come a week at a time; old payments change, and cards are erased."""

    trained = ("train_payment_fraud",)
    sources = ("payments", "crm")

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lake = Lake()
        self.now = BEGIN + 150 * DAY
        self.payments: list[Row] = []
        self.to_come: list[Callable[[], None]] = []

    def grow_up(self) -> None:
        """Load the payments of the first half year at once."""
        self.load(BEGIN, 150, 120)

    def load(self, since: datetime, days: int, number: int, *, backfill: bool = False) -> None:
        """Load payments of these days, and reports of payments of these days and the 80 days before."""
        until = since + days * DAY
        made = [self.payment(since + self.random.random() * days * DAY) for _ in range(number)]
        self.payments.extend(made)
        recent = [row for row in self.payments if since - 80 * DAY < row["transacted_at"] < until]
        reports = [self.report(row, until) for row in recent if self.random.random() < 0.1]
        extra = {"_is_backfill": True} if backfill else {}
        self.lake.load(
            self.now,
            payments__transactions=[{**one, **extra} for one in made],
            payments__chargebacks=[{**one, **extra} for one in reports],
            crm__customers=[{"customer_id": f"C{self.random.randint(1, 8)}", "updated_at": self.now - 90 * DAY}],
        )

    def payment(self, at: datetime) -> Row:
        card = self.random.randint(1, 8)
        is_new = not self.payments or self.random.random() < 0.95
        return {
            "transaction_id": f"T{len(self.payments)}-{at:%j%H%M%S}" if is_new else self.random_id(),
            "customer_id": self.random.choice([None, f"C{card}", f"C{card}"]),
            "card_id": self.random.choice([None, *4 * [f"K{card}"]]),
            "terminal_id": self.random.choice([None, "S1", "S2", "S3"]),
            "device_id": self.random.choice([None, *3 * [f"D{card}"], "D1"]),
            "country": self.random.choice([None, "DE", "DE", "JP"]),
            "currency": self.random.choice(["EUR", "EUR", "CHF"]),
            "amount": self.random.choice([-5, 10, 20, 40]),
            "transacted_at": at.replace(microsecond=0),
        }

    def random_id(self) -> str:
        return str(self.random.choice(self.payments)["transaction_id"])

    def report(self, payment: Row, until: datetime) -> Row:
        return {
            "transaction_id": payment["transaction_id"],
            "reason": self.random.choice(["fraud", "fraud", "duplicate"]),
            "reported_at": payment["transacted_at"] + self.random.random() * (until - payment["transacted_at"]),
        }

    def go_on(self) -> None:
        """Let one to four weeks go by; then records arrive, of old times too, change, or go with their card."""
        weeks = self.random.randint(1, 4)
        before, self.now = self.now, self.now + 7 * weeks * DAY
        self.load(before, 7 * weeks, 6 * weeks)
        self.to_come = self.to_come or self.random.sample([self.come_late, self.fill_back, self.erase, self.change], 4)
        self.to_come.pop()()
        self.to_come.pop()()

    def come_late(self) -> None:
        self.load(BEGIN, 100, 3)

    def fill_back(self) -> None:
        self.load(BEGIN, 100, 3, backfill=True)

    def erase(self) -> None:
        erased = f"K{self.random.randint(1, 8)}"
        self.payments = [row for row in self.payments if row["card_id"] != erased]
        self.rewrite([row for row in self.lake.arrived["payments.transactions"] if row["card_id"] != erased])

    def change(self) -> None:
        changed, other = self.random_id(), {"amount": 30, "card_id": "K2", "terminal_id": "S2", "country": "JP"}
        rows = self.lake.arrived["payments.transactions"]
        self.rewrite([{**row, **other} if row["transaction_id"] == changed else row for row in rows])

    def rewrite(self, rows: list[Row]) -> None:
        self.lake.rewrite("payments.transactions", rows)


@pytest.mark.parametrize("seed", SEEDS_OF_LONG_TESTS)
@pytest.mark.parametrize("business", [Kiosk, Till])
def test_kept_rows_equal_a_full_refresh(
    business: type[Kiosk | Till], seed: int, incremental: Warehouse, full: Warehouse
) -> None:
    # Given a business too young for labels, though a kiosk's orders are events of features
    made = business(seed)
    only = ("--select", *(f"+{name}" for name in made.trained))
    incremental.build(made.lake, *only)
    for table in made.trained[:1]:
        assert incremental.rows(f"select count(*) from machine_learning.{table}") == [(0,)]

    # And the first labels
    made.grow_up()
    incremental.build_changed(made.lake, made.sources, made.trained)

    for time in range(2 if seed == 0 else 6):
        # When weeks go by, with late records, backfills and erasures
        made.go_on()
        if seed == 0 and time == 0:
            continue  # a quick test builds both together
        incremental.build_changed(made.lake, made.sources, made.trained)

        # Then the training sets equal those that are built from nothing
        if time % 2 == 1:
            full.build(made.lake, "--full-refresh", *only)
            assert incremental.differences(full) == {}
            assert all(
                full.rows(f"select count(*) > 20 from machine_learning.{table}") == [(True,)] for table in made.trained
            )


def marked(warehouse: Warehouse, action: Callable[[], None]) -> tuple[set[str], set[str]]:
    """Return the customers all of whose rows were built again by an action, and those of whom all were kept."""
    table = "machine_learning.train_customer_churn"
    with warehouse.connect() as connection:
        connection.execute(f"update {table} set customer__order_count_30d = 999")
    action()
    found = warehouse.rows(
        f"select customer_id, bool_or(customer__order_count_30d = 999), bool_and(customer__order_count_30d = 999) "
        f"from {table} group by customer_id"
    )
    return {name for name, some, _ in found if not some}, {name for name, _, every in found if every}


def test_a_row_is_kept_until_something_changes_that_it_knew(incremental: Warehouse) -> None:
    # Given a training set of a kiosk
    kiosk = Kiosk(1, days=150)
    incremental.build(kiosk.lake, "--select", "+train_customer_churn")
    old = min(kiosk.lake.arrived["sales.orders"], key=lambda row: row["ordered_at"])
    order = {"ordered_at": old["ordered_at"], "updated_at": old["ordered_at"], "currency": "EUR", "status": None}

    def bring() -> None:
        """Bring an old order of C3 late, and one of C4 as a backfill; erase C5."""
        for number, customer, extra in (("late", "C3", {}), ("backfill", "C4", {"_is_backfill": True})):
            kiosk.now += DAY
            kiosk.lake.load(kiosk.now, sales__orders=[{**order, "order_id": number, "customer_id": customer, **extra}])
        orders = kiosk.lake.arrived["sales.orders"]
        kiosk.lake.rewrite("sales.orders", [row for row in orders if row["customer_id"] != "C5"])
        incremental.build_changed(kiosk.lake, ("sales",), ("train_customer_churn",))

    again, kept = marked(incremental, bring)

    # When an order is a backfill, then the rows of its customer are built again
    assert "C4" in again

    # When one arrives late, then every row is kept: none of them could know it
    assert "C3" in kept

    # When a customer is erased, then hardly a row of the others is built again
    assert "C5" not in again | kept
    assert len(again) < 4
    assert len(kept) > 10


LAST, HEAD, END = "train_product_demand", "train_product_demand as (\n", "select * from train_product_demand"
BESIDE = {
    "a model in its last step": {HEAD: f"{HEAD}\n    -- {{{{ ref('dim_holiday') }}}}\n"},
    "a step before it": {END: f"{END} cross join (select holiday_date from holidays) as listed"},
    "a step in a list": {END: f"{END}, holidays"},
    "a step that reads another": {HEAD: f"listed as (\n\n    from holidays\n\n),\n\n{HEAD}", END: f"{END} join listed"},
    "its spine again": {END: f"{END} join holidays_counted using (product_id)"},
}
DEPENDENT = {
    "a window function": "select *, avg(fold) over (partition by product_id) from {}",
    "window function": "select *, row_number() over by_day from {} window by_day as (order by as_of)",
    "qualify": "from {} qualify lag(fold) over (order by as_of) is null",
    "group by": "select product_id, as_of from {} GROUP\n BY ALL",
    "having": "select product_id from {} having true",
    "distinct": "select distinct from_day from {}",
    "limit": "from {} order by as_of limit 5",
    "offset": "from {} order by as_of offset 5",
    "a sample": "from {} using sample 10%",
    "pivot": "pivot {} on fold using first(as_of)",
    "union without all": "from {} union by name from {}",
    "intersect": "from {} intersect all from {}",
    "except": "from {} except from {}",
    "the aggregate avg": "select avg(fold) from {}",
    "the aggregate max": "from {} where as_of = (select max(as_of) from {})",
    "the aggregate count": "with counted as (select count(*) as day_count from {}) from {} cross join counted",
    "a join of train_product_demand without the column as_of": "from {} join {} using (product_id)",
    "a join of train_product_demand without the column product_id": "from {} cross join {} as others",
    "a join of others": "with others as (from {}) from {} left join others on others.as_of < {}.as_of",
    "a second read": "from {} where exists (select 1 from {} as others where others.fold = 1)",
    "second read": "from {} as some_rows, {} as others",
}
INDEPENDENT = {
    "a comparison": "select as_of is distinct from label_known_at as is_late from {}",
    "words": "select 'group by' as note from {} /* limit */ -- qualify",
    "an order": "select least(fold, 3) as fold, list_sum([fold, 1]) as total from {} order by as_of",
    "its own row": "with others as (from {}) from {} left join others using (product_id, as_of)",
    "another": "from {} union all from {}",
    "seeds": "from {} left join countries on fold > latitude",
}


def test_a_training_set_whose_rows_follow_from_more_than_their_spine_is_refused(incremental: Warehouse) -> None:
    # Given variants of an incremental training model
    manifest = incremental.manifest.deepcopy()
    model = manifest.nodes[f"model.ml_warehouse.{LAST}"]
    variants = {f"beside_{number}": changes for number, changes in enumerate(BESIDE.values())}
    for group, queries in (("dependent", DEPENDENT), ("independent", INDEPENDENT)):
        for number, query in enumerate(queries.values()):
            variants[f"{group}_{number}"] = {END: query.replace("{}", LAST)}
    for name, changes in variants.items():
        node = copy.deepcopy(model)
        for old, new in changes.items():
            assert old in node.raw_code
            node.raw_code = node.raw_code.replace(old, new)
        node.raw_code = node.raw_code.replace(LAST, name)
        node.name = node.alias = node.fqn[-1] = name
        node.unique_id = f"model.ml_warehouse.{name}"
        manifest.nodes[node.unique_id] = node
    incremental.manifest = manifest

    # When they are built
    result = incremental.dbt(Lake(), "build", "--resource-type", "model", "--select", *variants)
    messages = {one.node.name: one.message for one in result.result if one.node.name in variants}

    # Then errors say what each row depends on, and what to do; rows that depend on nothing else are not refused
    assert messages.keys() == variants.keys()
    for number, name in enumerate(BESIDE):
        assert "reads dim_holiday beside its features" in messages[f"beside_{number}"], name
    for number, words in enumerate(DEPENDENT):
        message = messages[f"dependent_{number}"]
        assert f"the last step of dependent_{number} has" in message, words
        assert words.replace(LAST, f"dependent_{number}") in message
        assert "Fix: do it before training_set(…)" in message
    for number, name in enumerate(INDEPENDENT):
        assert "Fix" not in messages[f"independent_{number}"], (name, messages[f"independent_{number}"])
