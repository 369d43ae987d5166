"""A classifier of small pictures: a convolutional network of Keras with scikit-learn's interface.

Keras and TensorFlow are an extra (`make deep`); this file imports them only when a network is made or used.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

CHANNELS = 3


class PixelClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Learns classes from square pictures: rows of red, green and blue from 0 to 255, one column a number.

    TensorFlow takes a GPU where its build knows one. `filters` are those of the first of three layers of convolutions;
    each further layer has twice as many. Pictures are flipped and moved by up to a tenth while it learns.
    """

    def __init__(
        self,
        epochs: int = 60,
        batch_size: int = 32,
        filters: int = 16,
        learning_rate: float = 0.003,
        random_state: int = 0,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.filters = filters
        self.learning_rate = learning_rate
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True  # pixels are taken as they are, and a picture without any is black
        return tags

    def fit(self, rows: Any, label: Any) -> "PixelClassifier":
        """Train a new network; raises ValueError for rows that are no square pictures."""
        import keras

        keras.utils.set_random_seed(self.random_state)
        pictures = _to_pictures(rows)
        self.n_features_in_ = np.shape(rows)[1]
        self.classes_, codes = np.unique(np.asarray(label), return_inverse=True)
        self.network_ = self._build(pictures.shape[1], len(self.classes_))
        self.network_.fit(pictures, codes, epochs=self.epochs, batch_size=self.batch_size, verbose=0)
        return self

    def predict_proba(self, rows: Any) -> np.ndarray:
        """Return the probability of each class, one row a picture, in the order of `classes_`."""
        return np.asarray(self.network_.predict(_to_pictures(rows), batch_size=256, verbose=0), dtype=float)

    def predict(self, rows: Any) -> np.ndarray:
        """Return the likeliest class of each picture."""
        return np.asarray(self.classes_[self.predict_proba(rows).argmax(axis=1)])

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with the network as its design and weights, which a pickle of any place can hold."""
        state = dict(super().__getstate__())
        if network := state.pop("network_", None):
            state["design_"], state["weights_"] = network.to_json(), network.get_weights()
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Make the network again from its design and weights."""
        state = dict(state)
        design, weights = state.pop("design_", None), state.pop("weights_", None)
        super().__setstate__(state)
        if design is not None:
            import keras

            self.network_ = keras.models.model_from_json(design)
            self.network_.set_weights(weights)

    def _build(self, side: int, class_count: int) -> Any:
        from keras import Input, Sequential, layers, optimizers

        convolutions = [
            layer
            for place in range(3)
            for layer in (
                layers.Conv2D(self.filters * 2**place, 3, padding="same", activation="relu"),
                layers.MaxPooling2D(),
            )
        ]
        network = Sequential(
            [
                Input((side, side, CHANNELS)),
                layers.Rescaling(1 / 255),
                layers.RandomFlip("horizontal", seed=self.random_state),
                layers.RandomTranslation(0.1, 0.1, fill_mode="nearest", seed=self.random_state),
                *convolutions,
                layers.Flatten(),
                layers.Dense(64, activation="relu"),
                layers.Dropout(0.3, seed=self.random_state),
                layers.Dense(class_count, activation="softmax"),
            ]
        )
        network.compile(optimizers.Adam(self.learning_rate), "sparse_categorical_crossentropy")
        return network


def _to_pictures(rows: Any) -> np.ndarray:
    """Return rows as pictures, count × side × side × 3; raises ValueError if they are no squares."""
    flat = np.nan_to_num(np.asarray(rows, dtype=np.float32))
    side = math.isqrt(flat.shape[1] // CHANNELS)
    if side * side * CHANNELS != flat.shape[1]:
        raise ValueError(f"{flat.shape[1]} columns are no square of red, green and blue")
    return flat.reshape(len(flat), side, side, CHANNELS)
