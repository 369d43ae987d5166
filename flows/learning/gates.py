"""Gates before a model is registered: no identifier, no personal column, no feature that knows the label."""

import importlib.util
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flows.core.errors import Finding, GateFailed, NotInstalled
from flows.learning.baselines import Single
from flows.learning.exposures import NUMBER, MlExposure
from flows.learning.project import DbtProject

if TYPE_CHECKING:
    import pandas as pd

IDENTIFIER = re.compile(r"(^|_)(id|uuid|key|hash)$")
MOST_DISTINCT, FEWEST_ROWS = 0.5, 100
"""A text is an identifier, or free text, if more than this share of so many rows has a value of its own."""


def require_packages(exposure: MlExposure) -> None:
    """Require the packages that the exposure says it needs beyond the project's; raises NotInstalled."""
    for name in exposure.declared.requires:
        if importlib.util.find_spec(name) is None:
            raise NotInstalled(
                f"{exposure.where}: the package {name}, which config.meta.requires names, is not installed.",
                "Install it; Keras and TensorFlow by: make deep",
            )


def require_features(exposure: MlExposure, project: DbtProject, features: Sequence[str], frame: "pd.DataFrame") -> None:
    """Refuse features that are identifiers, personal, or times; raises GateFailed with each of them.

    One that the exposure allows by name, with its reason, passes.
    """
    personal = project.personal_columns()
    findings = []
    for name in features:
        tag = personal.get(name)
        if name in exposure.declared.allow:
            continue
        if tag is not None:
            findings.append(Finding(name, f"it is tagged personal ({tag})"))
        elif IDENTIFIER.search(name) or _is_like_an_identifier(frame[name]):
            findings.append(Finding(name, "it is an identifier or free text: a model would learn rows by heart"))
        elif frame[name].dtype.kind == "M":
            findings.append(Finding(name, "it is a time; declare the duration up to the row's own time instead"))
    if findings:
        raise GateFailed(
            f"features ({exposure.where})",
            tuple(findings),
            "Take them out (`leave_out` of the exposure), or allow one by name with a reason: "
            f"allow: {{{findings[0].where}: why it may be used}}",
        )


def find_too_good(exposure: MlExposure, singles: Sequence[Single], kind: str) -> tuple[Finding, ...]:
    """Return the features that alone nearly separate the label: they probably know it already.

    One that the exposure allows by name, with its reason, passes.
    """
    limit, share = exposure.declared.too_well, "share of variance" if kind == NUMBER else "ROC AUC or accuracy"
    return tuple(
        Finding(one.feature, f"alone it predicts {exposure.declared.label} with {one.strength:.3f} ({share})")
        for one in singles
        if one.strength >= limit and one.feature not in exposure.declared.allow
    )


def _is_like_an_identifier(values: "pd.Series") -> bool:
    if values.dtype != object or len(values) < FEWEST_ROWS:
        return False
    texts = [one for one in values if isinstance(one, str)]
    return len(texts) >= FEWEST_ROWS and len(set(texts)) > MOST_DISTINCT * len(texts)
