"""A network of Keras learns from pixels, in an environment of its own: the extra of requirements-deep.txt."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.gym import make_gym

from flows.config.settings import PROJECT
from flows.core.errors import NotInstalled
from flows.learning.gates import require_packages
from flows.learning.pixels import PixelClassifier, _to_pictures

LEARN = """
import pickle, sys
from pathlib import Path
import numpy as np, pandas as pd
from support.gym import make_gym, make_members
from flows.learning.fit import train_model
from flows.learning.gates import require_packages
from flows.learning.training_sets import make_training_set

# Given pictures of members: red ones leave, green ones stay, and a few are of the other colour
gym, members = make_gym(Path(sys.argv[1])), make_members(4, 100)
chance = np.random.default_rng(1)
colours = chance.integers(0, 80, (len(members), 16, 16, 3)).astype(np.uint8)
for row, has_left in enumerate(members["has_left"] ^ (chance.random(len(members)) < 0.05)):
    colours[row, 4:12, 4:12, 0 if has_left else 1] = 220
members["pixels"] = [one.tobytes() for one in colours]
gym.extra = ("pixels",)
gym.declare(
    estimator="flows.learning.pixels.PixelClassifier", params={"epochs": 2, "batch_size": 8}, requires="keras",
    features="pixels", baseline="majority",
)

# When a network is trained for two epochs
require_packages(gym.exposure)
gym.publish(members)
model = train_model(gym.exposure, gym.project, make_training_set(gym.folder, gym.project, gym.exposure))

# Then it has learned the colours, and its pickle gives the same scores
assert model.refusals == (), model.refusals
assert model.metrics["roc_auc"].value > 0.8, model.metrics
again = pickle.loads(pickle.dumps(model.pipeline))
assert np.allclose(model.task.score(again, model.parts.test), model.scores, atol=1e-5)
print("learned", model.metrics["roc_auc"])
"""


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the extra in a folder of its own; without it a test is skipped, or fails where CI is set."""
    place = tmp_path_factory.mktemp("deep")
    uv = Path(sys.executable).with_name("uv")
    install = [uv, "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--target", place]
    installed = subprocess.run([*install, "-r", PROJECT / "requirements-deep.txt"], capture_output=True, text=True)
    if installed.returncode:
        reason = f"Keras and TensorFlow cannot be installed: {installed.stderr.strip()[-300:]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return place


@pytest.mark.slow
def test_a_network_learns_from_pixels_by_the_path_of_all_models(deep: Path, tmp_path: Path) -> None:
    places = os.pathsep.join(map(str, (PROJECT, PROJECT / "tests" / "python", deep)))
    ran = subprocess.run(
        [sys.executable, "-c", LEARN, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": places, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "learned" in ran.stdout


def test_the_extra_has_the_versions_of_the_project() -> None:
    """One environment holds both, so no package may have two versions."""

    def read(name: str) -> dict[str, set[str]]:
        pins: dict[str, set[str]] = {}
        for line in (PROJECT / name).read_text().splitlines():
            if "==" in line and not line.startswith((" ", "#")):
                package, _, version = line.partition("==")
                pins.setdefault(package.strip(), set()).add(version.split()[0])
        return pins

    project, extra = read("requirements.txt"), read("requirements-deep.txt")
    shared = project.keys() & extra.keys()
    assert "numpy" in shared
    assert {name: extra[name] - project[name] for name in shared if extra[name] - project[name]} == {}


def test_without_its_packages_a_model_is_not_trained_and_says_how(tmp_path: Path) -> None:
    gym = make_gym(tmp_path)
    gym.declare(requires=["json", "a_package_that_is_not_there"])
    with pytest.raises(NotInstalled, match=r"a_package_that_is_not_there, which(?s:.)*make deep"):
        require_packages(gym.exposure)


def test_rows_are_squares_of_three_colours() -> None:
    pictures = np.arange(2 * 4 * 4 * 3, dtype=float).reshape(2, 4, 4, 3)
    assert np.array_equal(_to_pictures(pictures.reshape(2, -1)), pictures)
    with pytest.raises(ValueError, match="47 columns are no square"):
        _to_pictures(np.zeros((2, 47)))
    assert PixelClassifier(epochs=3).get_params()["epochs"] == 3
