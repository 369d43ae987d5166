"""The deployments of prefect.yaml: what is off says so, a set switches it on, and Kubernetes takes the manifests."""

import json
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.config.settings import PROJECT
from flows.orchestration.deployments import OFF, PLACEHOLDER, SCHEDULE_OFF, deployments_file

DECLARED = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
KUBERNETES = PROJECT / "deploy" / "kubernetes"


def triggers_of(deployments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [trigger for one in deployments for trigger in one.get("triggers") or ()]


def test_whatever_is_off_says_so_and_how_to_turn_it_on() -> None:
    for one in DECLARED:
        is_off = any(not schedule["active"] for schedule in one.get("schedules") or ())
        assert (SCHEDULE_OFF in one["tags"]) == is_off, one["name"]
        assert (" Off: start make ui with ML_WAREHOUSE_SET" in one["description"]) == is_off, one["name"]
    for trigger in triggers_of(DECLARED):
        assert trigger["name"].endswith(OFF) == (not trigger["enabled"])
        assert "To turn it on" in trigger["description"]


def test_the_jobs_of_a_set_are_scheduled_and_enforce_their_parameters() -> None:
    flows = {one["entrypoint"].rpartition(":")[2]: one for one in DECLARED if one.get("schedules")}
    crons = {name: one["schedules"][0]["cron"] for name, one in flows.items()}
    assert crons["elt"] == "5 * * * *"
    assert {name: re.sub(r"\d+", "n", crons[name]) for name in ("train", "score", "maintain")} == {
        "train": "n n * * *", "score": "n n * * *", "maintain": "n n * * n",
    }  # fmt: skip
    assert all(one["enforce_parameter_schema"] and one["concurrency_limit"]["limit"] == 1 for one in DECLARED)


def test_a_set_switches_schedules_and_triggers_on(tmp_path: Path) -> None:
    made = yaml.safe_load(deployments_file("shop_9", tmp_path / "prefect.yaml").read_text())["deployments"]
    assert deployments_file(None, tmp_path / "none.yaml") == PROJECT / "prefect.yaml"
    by_name = {one["name"]: one for one in made}
    for name in ("hourly", "train", "score", "watch", "maintain"):
        assert [schedule["active"] for schedule in by_name[name]["schedules"]] == [True]
        assert by_name[name]["parameters"]["connection_set"] == "shop_9"
        assert "Off:" not in by_name[name]["description"]
    on = [trigger for trigger in triggers_of(made) if trigger["enabled"]]
    assert len(on) == 3
    assert PLACEHOLDER not in str(on)
    assert all(trigger["parameters"]["connection_set"] == "shop_9" for trigger in on)
    assert [trigger["name"] for trigger in triggers_of(made) if not trigger["enabled"]] == [
        "Build again after new orders (off)"
    ]


def test_events_of_the_triggers_are_those_that_runs_emit(flow_home: Path) -> None:
    from flows.orchestration import events

    known = {value for name, value in vars(events).items() if name.isupper() and isinstance(value, str)}
    named = set(re.findall(r"ml-warehouse\.\w+\.\w+\b", str(triggers_of(DECLARED))))
    assert {name for name in named if not name.startswith(("ml-warehouse.table.", "ml-warehouse.set."))} <= known


@pytest.mark.parametrize("flow", ["elt", "train", "score", "backfill", "watch", "maintain", "docs"])
def test_each_parameter_has_a_description_in_the_ui(flow_home: Path, flow: str) -> None:
    from importlib import import_module

    from prefect.utilities.callables import parameter_schema

    schema = parameter_schema(getattr(import_module(f"flows.{flow}"), flow).fn)
    assert {name for name, one in schema.properties.items() if not one.get("description")} == set()


def filled(template: Any, values: Mapping[str, Any]) -> Any:
    """Fill in the placeholders of a job template, as Prefect's worker does."""
    if isinstance(template, dict):
        found = {key: filled(one, values) for key, one in template.items()}
        return {key: one for key, one in found.items() if one is not None}
    if isinstance(template, list):
        return [filled(one, values) for one in template]
    if isinstance(template, str) and (whole := re.fullmatch(r"\{\{ (\w+) \}\}", template)):
        return values[whole[1]]
    return (
        re.sub(r"\{\{ (\w+) \}\}", lambda one: str(values[one[1]]), template) if isinstance(template, str) else template
    )


def job() -> dict[str, Any]:
    template = json.loads((KUBERNETES / "job-template.json").read_text())
    variables = template["variables"]["properties"]
    values = {name: one.get("default") for name, one in variables.items()}
    values["env"] = [{"name": name, "value": value} for name, value in values["env"].items()]
    values["command"] = ["prefect", "flow-run", "execute"]
    manifest: dict[str, Any] = filled(template["job_configuration"]["job_manifest"], values)
    return manifest


def test_the_job_template_uses_each_variable_and_describes_it() -> None:
    template = json.loads((KUBERNETES / "job-template.json").read_text())
    variables = template["variables"]["properties"]
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(template["job_configuration"])))
    assert used == set(variables)
    assert all(one["description"] for one in variables.values())
    claim = next(one for one in manifests() if one["kind"] == "PersistentVolumeClaim")
    volume = job()["spec"]["template"]["spec"]["volumes"][0]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((KUBERNETES / "worker.yaml").read_text()))


@pytest.mark.proof
def test_kubernetes_takes_the_manifests() -> None:
    validator = import_module("kubernetes_validate")  # of requirements-kubernetes.txt
    for manifest in (*manifests(), job()):
        validator.validate(manifest, validator.latest_version(), strict=True)
    wrong = job()
    wrong["spec"]["template"]["spec"]["restart"] = "Never"
    with pytest.raises(validator.ValidationError):
        validator.validate(wrong, validator.latest_version(), strict=True)
