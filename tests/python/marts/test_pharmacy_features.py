"""The pharmacy's customer features are those of scikit-learn, fitted on the same customers."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures"]

NUMBERS = ["birth_year", "order_count", "cancelled_order_count", "units_sold", "units_returned", "recency_days"]


def test_customers_are_imputed_scaled_and_encoded_as_scikit_learn_does_it(pharmacy: "Pharmacy") -> None:
    # Given customers; the training set has those who registered first
    rows = pharmacy.rows(
        "from marketing.customer_360 inner join machine_learning.customer_features using (customer_id)"
    )
    customers = pd.DataFrame(rows).astype(dict.fromkeys(NUMBERS, float))
    training = customers["is_training"].to_numpy(bool)
    known_at = customers["registered_at"].fillna(customers["first_ordered_at"])
    assert 0.78 < training.mean() < 0.82
    assert known_at[training].max() < known_at[~training].min()

    # When scikit-learn is fitted on the training set, then it gives the same features for all customers
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    expected = numbers.fit(customers.loc[training, NUMBERS]).transform(customers[NUMBERS])
    found = customers[[f"{number}_scaled" for number in NUMBERS]].astype(float)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)

    channel = customers[["favourite_channel"]].astype(object)
    counted = channel.loc[training, "favourite_channel"].value_counts()
    encoder = OneHotEncoder(categories=[sorted(counted[counted > 1].index)], handle_unknown="ignore")
    flags = encoder.fit(channel[training & channel["favourite_channel"].isin(counted[counted > 1].index)])
    expected_flags = flags.transform(channel.where(channel.notna(), None)).toarray()
    assert [list(vector) for vector in customers["favourite_channel_flags"]] == expected_flags.tolist()
