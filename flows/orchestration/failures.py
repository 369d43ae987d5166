"""Failures as Prefect shows them: a red state with the message, which the log has one time, as its first error.

An expected error is returned as a state, since Prefect logs a traceback for whatever is raised. Callers of a flow or a
step get the error raised, with all its fields.
"""

import logging
import traceback
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from inspect import cleandoc, signature
from typing import Any, ParamSpec, TypeVar, cast, get_args

from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger
from prefect.runtime import deployment
from prefect.states import Completed, Failed
from pydantic.fields import FieldInfo

from flows.core.errors import RunLocked, Unforeseen, WarehouseError
from flows.core.redaction import scrub

P = ParamSpec("P")
R = TypeVar("R")

SKIPPED = "Skipped"
"""The name of the state of a scheduled run that met another run at work: nothing failed, and nothing was done."""

FINISHED, FAILED_WITH, WELL = "Finished in state Failed(", "Task run failed with ", "Finished in state Completed()"
"""How lines begin in which Prefect repeats what a state says."""


class SaidOnce(logging.Filter):
    """Takes the message of a failure out of Prefect's own lines, since the log has it already."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten a line, or drop the one that says nothing else."""
        text = str(record.msg)
        if text.startswith(FINISHED):
            record.msg = FINISHED.removesuffix("(")
            record.levelno, record.levelname = logging.INFO, "INFO"
        elif text.startswith(FAILED_WITH) and isinstance(record.args, tuple):
            record.args = tuple(_first_line(one) if isinstance(one, State) else one for one in record.args)
        is_step_well = text == WELL and record.name == "prefect.task_runs"  # its own line says more
        return not (text.startswith(f"{FAILED_WITH}state: ") or is_step_well)


for _name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_name).addFilter(SaidOnce())


def failure_shown(function: Callable[P, R]) -> Callable[P, R]:
    """Let a flow end in a failed state for an expected error, which its caller gets raised.

    A run that a schedule started, and that met another run at work, is skipped: it does not turn red.
    """

    @wraps(function)
    def run(*args: P.args, **options: P.kwargs) -> R:
        try:
            return function(*args, **options)
        except RunLocked as locked:
            if is_scheduled():
                return cast(R, Completed(name=SKIPPED, message=f"{SKIPPED}: {scrub(str(locked))}"))
            return cast(R, failed(locked))
        except WarehouseError as error:
            return cast(R, failed(error))

    run.__doc__ = _with_parameters(function)
    return run


def _with_parameters(function: Callable[..., Any]) -> str:
    """Return a flow's docstring with the descriptions of its parameters, from which Prefect's UI takes them."""
    lines = []
    for name, parameter in signature(function).parameters.items():
        about = next((one for one in get_args(parameter.annotation) if isinstance(one, FieldInfo)), None)
        if about is not None and about.description:
            lines.append(f"    {name}: {about.description}")
    return "\n".join([cleandoc(function.__doc__ or ""), "", "Args:", *lines])


def failed(error: WarehouseError) -> State[Any]:
    """Tell an error in the log of the present run, if that does not have it yet, and return the state that shows it."""
    context = FlowRunContext.get()
    run = context.flow_run if context is not None else None
    if (run is None or str(run.id) not in error.shown_in) and not _is_tried_again(error):
        error.shown_in |= {str(run.id)} if run is not None else set()
        text = scrub(str(error))
        if isinstance(error, Unforeseen) and error.__context__ is not None:
            places = "".join(traceback.format_tb(error.__context__.__traceback__))
            text += f"\n\nIts places, the last one is where it happened:\n{places}"
        _log_first(text, run.start_time if run is not None else None)
    return Failed(message=scrub(str(error)), data=error)


def _log_first(text: str, at: datetime | None) -> None:
    """Log an error at the time when the run began, since Prefect's UI shows a log from its beginning."""
    try:
        log = cast("logging.LoggerAdapter[logging.Logger]", get_run_logger())
    except MissingContextError:
        logging.getLogger(__name__).error("%s", text)
        return
    record = log.logger.makeRecord(log.logger.name, logging.ERROR, __file__, 0, "%s", (text,), None, extra=log.extra)
    if at is not None:
        record.created = at.timestamp()
    log.logger.handle(record)


def result_of(returned: R) -> R:
    """Return what a task has returned; raises the error of one that has failed."""
    if isinstance(returned, State):
        returned.result(raise_on_failure=True)
    return returned


def is_scheduled() -> bool:
    """Tell whether a schedule, a trigger or the UI started the present run, and not a person in a terminal."""
    return bool(deployment.id)


def _is_tried_again(error: WarehouseError) -> bool:
    """Tell whether Prefect tries the present task again; its condition decides on what can heal."""
    context = TaskRunContext.get()
    if context is None or context.task_run.run_count > context.task.retries:
        return False
    condition = context.task.retry_condition_fn
    return condition is None or bool(condition(context.task, context.task_run, Failed(data=error)))


def _first_line(state: State[Any]) -> str:
    return (state.message or "").partition("\n")[0]
