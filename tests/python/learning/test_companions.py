"""Online learning uses no label before it was known; federated training lets coefficients leave a site, and no row."""

import pickle
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.gym import Gym, make_gym, make_members

from flows.core.errors import UsageError
from flows.learning.companions import train_companions, write_sites
from flows.learning.federated import FederatedModel, Moments, Scale, SiteFile, Update, descend, train_federated
from flows.learning.fit import TrainedModel, train_model
from flows.learning.online import learn_online
from flows.learning.training_sets import make_training_set

CANARY = 123456.789


@pytest.fixture
def gym(tmp_path: Path) -> Gym:
    return make_gym(tmp_path)


def trained(gym: Gym, members: pd.DataFrame) -> TrainedModel:
    gym.publish(members)
    return train_model(gym.exposure, gym.project, make_training_set(gym.folder, gym.project, gym.exposure))


def test_an_online_model_is_measured_on_the_same_rows(gym: Gym) -> None:
    gym.declare(online=True)
    model = trained(gym, make_members())
    online = learn_online(model)
    assert online.scores.shape == model.scores.shape
    assert online.measured.value > 0.7
    assert online.gain.low < 0.05


def test_an_online_model_uses_no_label_before_it_was_known(gym: Gym) -> None:
    """Labels that become known only after the last test row change no score; those that were known do."""
    members = make_members(20)
    gym.declare(split={"by": "time", "test": "40%"})
    model = trained(gym, members)
    before = learn_online(model)
    last = members["as_of"] >= members["as_of"].max() - pd.Timedelta(days=1)
    flipped = members.assign(has_left=members["has_left"] ^ last)
    assert np.array_equal(learn_online(trained(gym, flipped)).scores, before.scores)
    first = members["as_of"] == model.parts.cut
    flipped = members.assign(has_left=members["has_left"] ^ first)
    after = learn_online(trained(gym, flipped))
    assert not np.array_equal(after.scores, before.scores)
    assert before.learned_rows < len(members)


def site_rows(seed: int = 1) -> pd.DataFrame:
    """Return rows of three sites of unequal sizes, whose features are spread unequally."""
    chance = np.random.default_rng(seed)
    parts = []
    for site, count, shift in (("north", 900, 0.0), ("south", 300, 1.0), ("east", 150, -0.5)):
        age, wear = chance.normal(40 + 5 * shift, 8, count), chance.normal(shift, 1, count)
        odds = -0.5 + 0.06 * (age - 40) + 1.1 * wear
        has_failed = (chance.random(count) < 1 / (1 + np.exp(-odds))).astype(int)
        parts.append(pd.DataFrame({"site": site, "age": age, "wear": wear, "has_failed": has_failed}))
    return pd.concat(parts, ignore_index=True)


def pooled(rows: pd.DataFrame, scale: Scale) -> np.ndarray:
    """Return the coefficients that training on all rows at once gives."""
    values = scale.apply(rows[["age", "wear"]].to_numpy())
    return descend(np.zeros(3), values, rows["has_failed"].to_numpy(dtype=float), 2000)


def test_federated_training_is_within_a_hundredth_of_pooled_training(tmp_path: Path) -> None:
    rows = site_rows()
    sites = write_sites(tmp_path, rows, "site", ["age", "wear"], "has_failed")
    assert len(sites) == 3
    model = train_federated(sites, rounds=30)
    reference = FederatedModel(pooled(rows, model.scale), model.scale)
    values = rows[["age", "wear"]].to_numpy()
    assert np.abs(model.score(values) - reference.score(values)).mean() < 0.01
    assert np.abs(model.score(values) - reference.score(values)).max() < 0.05


@dataclass
class Wire:
    """A site at the other end of a wire, with every byte that left it."""

    site: SiteFile
    sent: list[bytes] = field(default_factory=list)

    def measure(self) -> Moments:
        return self._send(self.site.measure())  # type: ignore[no-any-return]

    def train(self, coefficients: np.ndarray, scale: Scale) -> Update:
        return self._send(self.site.train(coefficients, scale))  # type: ignore[no-any-return]

    def _send(self, answer: object) -> object:
        self.sent.append(pickle.dumps(answer))
        return pickle.loads(self.sent[-1])


def test_no_row_leaves_a_site(tmp_path: Path) -> None:
    """The bytes that leave a site hold no value of a row, and are as many for ten times the rows."""
    rows = site_rows()
    rows.loc[rows.index[::50], "age"] = CANARY
    sizes = []
    for name, count in (("few", 1), ("many", 10)):
        folder = tmp_path / name
        folder.mkdir()
        wires = [
            Wire(site) for site in write_sites(folder, pd.concat([rows] * count), "site", ["age", "wear"], "has_failed")
        ]
        train_federated(wires, rounds=3)
        sent = b"".join(one for wire in wires for one in wire.sent)
        values = {float(one) for column in ("age", "wear") for one in rows[column]}
        assert not [one for one in values if np.float64(one).tobytes() in sent]
        sizes.append(max(len(one) for wire in wires for one in wire.sent))
    assert abs(sizes[1] - sizes[0]) < 16


def test_a_site_of_a_few_rows_answers_nothing(tmp_path: Path) -> None:
    rows = site_rows().groupby("site").head(30)
    (one, *_) = write_sites(tmp_path, rows, "site", ["age", "wear"], "has_failed")
    import duckdb

    with duckdb.connect(str(one.path)) as connection:
        connection.execute(f"delete from {one.table} where rowid > 5")
    with pytest.raises(UsageError, match="has 6 rows; 20 are needed"):
        one.measure()


def test_companions_are_measured_beside_the_model(gym: Gym) -> None:
    members = make_members()
    members["club"] = np.where(members["member_id"] < "0070", "west", "east")
    gym.extra = ("club",)
    gym.declare(online=True, federated={"site": "club"})
    measured, notes = train_companions(trained(gym, members))
    assert {name: one.value > 0.7 for name, one in measured.items()} == {"online": True, "federated": True}
    assert "by 2 sites" in notes[1]
