"""The deployments of prefect.yaml, as they are or switched on for a set."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from flows.config import settings

OFF, SCHEDULE_OFF, PLACEHOLDER = " (off)", "schedule off", "my_set"
"""The words by which a trigger and a schedule of prefect.yaml say that they are off, and a trigger's set."""

HOW_TO_TURN_ON = " Off: "
"""The beginning of the sentence of a description that says how to switch a schedule on."""


def deployments_file(connection_set: str | None, place: Path) -> Path:
    """Return the file to deploy: prefect.yaml, or a copy of it at `place` that is switched on for a set."""
    file = settings.PROJECT / "prefect.yaml"
    if connection_set is None:
        return file
    declared = yaml.safe_load(file.read_text(encoding="utf-8"))
    declared["deployments"] = [switch_on(one, connection_set) for one in declared["deployments"]]
    place.write_text(yaml.safe_dump(declared, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return place


def switch_on(deployment: Mapping[str, Any], connection_set: str) -> dict[str, Any]:
    """Return a deployment whose schedules and triggers are on for a set; those of other sets stay."""
    one = dict(deployment)
    if SCHEDULE_OFF in one.get("tags", ()):
        one["tags"] = [connection_set]
        one["parameters"] = {**one["parameters"], "connection_set": connection_set}
        one["description"] = one["description"].partition(HOW_TO_TURN_ON)[0]
        one["schedules"] = [{**schedule, "active": True} for schedule in one["schedules"]]
    one["triggers"] = [
        _switch_on_trigger(trigger, connection_set) if PLACEHOLDER in str(trigger) else trigger
        for trigger in one.get("triggers", ())
    ]
    return one


def _switch_on_trigger(trigger: Mapping[str, Any], connection_set: str) -> dict[str, Any]:
    description = trigger["description"].partition(" To turn it on")[0]
    filled = {**trigger, "enabled": True, "name": trigger["name"].removesuffix(OFF), "description": description}
    filled["match"] = {key: text.replace(PLACEHOLDER, connection_set) for key, text in trigger["match"].items()}
    filled["parameters"] = {**trigger["parameters"], "connection_set": connection_set}
    return filled
