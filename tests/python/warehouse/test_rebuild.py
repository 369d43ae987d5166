"""A release by fingerprints equals a full build, and what has not changed is not built again."""

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest
from support.chance import NOON, Chance
from support.lake_by_hand import SEEDS_OF_WHOLE_BUILDS
from support.released_shop import Released, order_once, part_of

from flows.warehouse import build as building
from flows.warehouse import fingerprints
from flows.warehouse.build import Build
from flows.warehouse.fingerprints import Fingerprints
from flows.warehouse.node_states import NodeState
from flows.warehouse.rebuild import BUILT

pytest_plugins = ["support.warehouse_fixtures"]

VARS: dict[str, list[Any]] = {
    "replay_after_days": [180, 0],
    "business_time_zone": ["UTC", "Australia/Sydney", "Pacific/Honolulu", "Asia/Tokyo"],
}


class Shop(Chance):
    """A shop of which some days bring nothing, and whose code and vars change."""

    def __init__(self, seed: int, manifest: Manifest) -> None:
        super().__init__(seed)
        self.manifest = manifest.deepcopy()
        self.variables: dict[str, Any] = {}

    def next_day(self) -> None:
        """Bring news, or change a var, a macro or a model, or do nothing."""
        for change in self.random.choices(
            [self.load, self.change_a_var, self.change_a_macro, self.change_a_model, lambda: None],
            weights=[4, 2, 1, 2, 1],
            k=2,
        ):
            change()

    def change_a_var(self) -> None:
        name = self.random.choice(sorted(VARS))
        self.variables[name] = self.random.choice(VARS[name])

    def change_a_macro(self) -> None:
        """Give unknown members another code, or leave it with a comment."""
        macro = self.manifest.macros["macro.ml_warehouse.unknown_code"]
        macro.macro_sql = self.random.choice(
            ["{% macro unknown_code() -%} 'unknown' {%- endmacro %}", "{% macro unknown_code() -%} '?' {%- endmacro %}"]
        )

    def change_a_model(self) -> None:
        """Change a comment of any model, or leave out some rows of one."""
        models = sorted(key for key, node in self.manifest.nodes.items() if node.resource_type == "model")
        changed = self.manifest.nodes[self.random.choice(models)]
        changed.raw_code = f"/* {self.random.random()} */\n{changed.raw_code}"  # "--" would hide SQL where Jinja trims
        sales = self.manifest.nodes["model.ml_warehouse.daily_sales"]
        if self.random.random() < 0.5:
            text = sales.raw_code.partition("\nwhere")[0].rstrip()
            sales.raw_code = f"{text}\nwhere order_count <> {self.random.randint(1, 3)}"


def differences_over_days(seed: int, days: int, released: Released, full: Released) -> dict[str, Any]:
    """Release a shop day by day, and return how the last release differs from a full build."""
    shop = Shop(seed, released.manifest)
    for _ in range(days):
        shop.next_day()
        released.manifest = full.manifest = shop.manifest
        released.release(shop.lake, shop.variables)
    full.release(shop.lake, shop.variables, full_refresh=True)
    return released.differences(full)


@pytest.mark.parametrize("seed", SEEDS_OF_WHOLE_BUILDS)
def test_a_release_by_fingerprints_equals_a_full_build(seed: int, tmp_path: Any, manifest: Manifest) -> None:
    # The first seed builds fewer models, to be fast
    models = part_of(manifest, *(["daily_sales"] if seed == 0 else []))
    released, full = Released(tmp_path / "released", models), Released(tmp_path / "full", models)
    assert differences_over_days(seed, 5 if seed == 0 else 6, released, full) == {}


SMALL = ("daily_sales", "dim_product")


@pytest.fixture(scope="module")
def first_release(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> Released:
    """A shop of few models with their tests, released once."""
    return Released.once(tmp_path_factory.mktemp("first"), manifest, order_once("O1", "O2"), *SMALL)


@pytest.fixture
def released(tmp_path: Path, first_release: Released) -> Released:
    """A copy of the shop that was released once."""
    return first_release.copy(tmp_path / "released")


def names_run(build: Build, *kinds: str) -> set[str]:
    """Return the names of the nodes that ran and were not kept."""
    return {build.states[key].name for key in build.ran if build.states[key].kind in (kinds or BUILT)}


def test_without_news_nothing_runs(released: Released) -> None:
    build = released.release(order_once("O1", "O2"))
    assert not build.results
    assert len(build.kept("model")) == 8
    assert len(build.kept("test")) > 10


def test_a_table_with_the_rows_that_it_had_rebuilds_nothing_that_reads_it(released: Released) -> None:
    # When a product gets a state that changes nothing of what the warehouse keeps of it
    lake = order_once("O1", "O2")
    again = {"product_id": "P1", "product_name": "Lamp", "updated_at": NOON}
    lake.load(NOON + timedelta(days=1), shop__products=[again])
    build = released.release(lake)

    # Then the dimension is built, and no fact; the tests of the dimension ran, those of the facts did not
    tables = {name for name in names_run(build, "model") if not name.startswith("stg_")}
    assert "dim_product" in tables
    assert not tables & {"fct_orders", "daily_sales"}


def test_a_new_name_of_a_product_reaches_what_reads_it(released: Released) -> None:
    lake = order_once("O1", "O2")
    lake.load(NOON, shop__products=[{"product_id": "P1", "product_name": "Vase", "updated_at": NOON}])
    build = released.release(lake)
    assert "dim_product" in names_run(build)
    assert released.rows("select product_name from core.dim_product where product_id = 'P1' and is_current") == [
        ("Vase",)
    ]


def test_a_test_of_other_code_runs_alone(released: Released) -> None:
    # When one test gets another limit
    tests = [node for node in released.manifest.nodes.values() if node.resource_type == "test"]
    test = next(node for node in tests if node.depends_on_nodes)
    test.config.error_if = "> 1000"
    build = released.release(order_once("O1", "O2"))

    # Then it alone runs
    assert names_run(build) == {test.name}


def test_a_test_that_failed_runs_again(released: Released) -> None:
    # Given a test that failed under these inputs, as a release that was published by hand says
    with released.connect() as warehouse:
        warehouse.execute(
            "update main.node_state set status = 'fail' where name = 'dim_product__product_key_is_unique'"
        )
    failed = released.rows("select count(*) from main.node_state where status = 'fail'")
    assert failed == [(1,)]
    assert names_run(released.release(order_once("O1", "O2"))) == {"dim_product__product_key_is_unique"}


def test_a_table_that_the_release_has_lost_is_built(released: Released) -> None:
    with released.connect() as warehouse:
        warehouse.execute("drop table core.dim_product")
    assert "dim_product" in names_run(released.release(order_once("O1", "O2")))


CHANGES: dict[str, tuple[Callable[[Manifest], None], set[str], set[str]]] = {
    "a macro": (
        lambda manifest: setattr(
            manifest.macros["macro.ml_warehouse.unknown_code"],
            "macro_sql",
            "{% macro unknown_code() -%} 'x' {%- endmacro %}",
        ),
        {"dim_channel"},
        {"dim_date", "dim_product"},
    ),
    "a macro that a macro calls": (
        lambda manifest: setattr(
            manifest.macros["macro.ml_warehouse.differs_from_last"],
            "macro_sql",
            manifest.macros["macro.ml_warehouse.differs_from_last"].macro_sql + " ",
        ),
        {"dim_product", "dim_customer"},
        {"dim_date"},
    ),
    "a column of what is read": (
        lambda manifest: setattr(
            manifest.sources["source.ml_warehouse.shop.products"].columns["product_name"], "data_type", "text"
        ),
        {"stg_shop__product_history"},
        {"dim_customer", "dim_date"},
    ),
    "a description": (
        lambda manifest: setattr(manifest.nodes["model.ml_warehouse.dim_product"], "description", "Other words."),
        set(),
        {"dim_product", "daily_sales"},
    ),
    "where it is published, too": (
        lambda manifest: set_meta(manifest.nodes["model.ml_warehouse.dim_product"], publish="delta"),
        set(),
        {"dim_product", "daily_sales"},
    ),
}


def set_meta(node: Any, **entries: Any) -> None:
    """Change the meta of this manifest alone: copies of manifests share the dictionaries of their nodes."""
    node.config.meta = {**node.config.meta, **entries}


def codes_of(manifest: Manifest) -> dict[str, str]:
    """Return the fingerprint of each node's code, by unique id."""
    prints = Fingerprints(manifest, {})
    return {key: prints.of(key) for key in manifest.nodes}


def codes_by_name(manifest: Manifest) -> dict[str, str]:
    return {manifest.nodes[key].name: code for key, code in codes_of(manifest).items()}


@pytest.fixture(scope="module")
def codes(manifest: Manifest) -> dict[str, str]:
    """The fingerprints of the code of all nodes, by name."""
    return codes_by_name(manifest)


@pytest.mark.parametrize("change", CHANGES)
def test_the_code_of_a_node_is_all_that_it_uses(change: str, manifest: Manifest, codes: dict[str, str]) -> None:
    # Given the fingerprints of all nodes
    changed = manifest.deepcopy()
    make, touched, untouched = CHANGES[change]

    # When something changes, then the fingerprints of what uses it change, and no others
    make(changed)
    after = codes_by_name(changed)
    differing = {name for name in codes if codes[name] != after[name]}
    assert touched <= differing
    assert not differing & untouched


def test_a_declared_feature_counts_for_training_sets_alone(manifest: Manifest) -> None:
    # Given a model that makes a training set of a declared feature
    trained = manifest.deepcopy()
    names = ("payment_fraud_labels", "train_payment_fraud", "score_payment_fraud", "fct_payments")
    labels, training, scored, payments = (f"model.ml_warehouse.{name}" for name in names)
    trained.nodes[labels].raw_code += "{{ training_set(ref('fct_payments'), ['fct_payments.card__*']) }}"
    before = codes_of(trained)

    # When a window or the uniqueness of the events changes, then the training set is built again, and nothing else
    for change in (
        lambda nodes: set_windows(nodes[payments], ["1d"]),
        lambda nodes: nodes.pop(next(key for key in nodes if ".fct_payments__transaction_id_is_unique." in key)),
    ):
        changed = trained.deepcopy()
        change(changed.nodes)
        after = codes_of(changed)
        assert {key for key in after if before[key] != after[key]} == {labels, training, scored}


def set_windows(node: Any, windows: list[str]) -> None:
    """Change a declaration of this manifest alone: copies of manifests share the dictionaries of their nodes."""
    node.config.meta = deepcopy(node.config.meta)
    node.config.meta["features"][0]["values"]["amount_sum"]["windows"] = windows


def test_a_var_counts_for_what_names_it_alone(manifest: Manifest) -> None:
    nodes = [key for key, node in manifest.nodes.items() if node.resource_type == "model"]
    plain, other = Fingerprints(manifest, {}), Fingerprints(manifest, {"replay_after_days": 7})
    differing = {manifest.nodes[key].name for key in nodes if plain.of(key) != other.of(key)}
    assert "fct_order_status_changes" in differing
    assert not {"dim_date", "stg_web__events"} & differing


MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "a source is left out": lambda patched: patched.setattr(building, "_source_states", lambda _dbt: {}),
    "macros are left out": lambda patched: patched.setattr(Fingerprints, "_reached", lambda _self, words: (words, {})),
    "vars are left out": lambda patched: patched.setattr(Fingerprints, "__init__", without_vars(Fingerprints.__init__)),
    "the model itself is left out": lambda patched: patched.setattr(fingerprints, "describe_node", lambda _node: ""),
    "all rows are taken as the same": lambda patched: patched.setattr(
        building, "hash_tables", lambda _path, nodes: {node.unique_id: "the same" for node in nodes}
    ),
    "inputs are not compared": lambda patched: patched.setattr(
        NodeState, "is_of", lambda self, code, _inputs: self.is_good and self.code == code
    ),
}


def without_vars(begin: Callable[..., None]) -> Callable[..., None]:
    def begin_without(self: Fingerprints, manifest: Manifest, _variables: Any, key: str = "") -> None:
        begin(self, manifest, {}, key)

    return begin_without


@pytest.mark.proof
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_of_the_fingerprints_is_caught(
    mutant: str, tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    MUTANTS[mutant](monkeypatch)
    for seed in range(12):
        models = part_of(manifest, "daily_sales", "fct_order_status_changes", "dim_customer", "dim_product")
        released = Released(tmp_path / f"released{seed}", models)
        full = Released(tmp_path / f"full{seed}", models)
        if differences_over_days(seed, 5, released, full):
            return
    pytest.fail("no shop shows the difference")
