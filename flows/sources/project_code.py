"""Functions of the project that a connections file names, and where such code failed."""

import importlib
import inspect
import re
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from flows.config import settings
from flows.core.unforeseen import HIDDEN, PACKAGE, type_name

MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
INSTALLED = {".venv", "site-packages"}
"""Folders of installed packages, wherever they are."""


class NotUsable(Exception):
    """The name of a function that cannot be used; its text is the cause, without values."""


def project_function(module: str, name: str) -> Callable[..., Any]:
    """Import a function of a module of the project; raises NotUsable."""
    function = getattr(project_module(module), name, None)
    if not callable(function):
        what = f"no function {name}" if function is None else f"{name}, which is no function"
        raise NotUsable(f"{module} has {what}")
    found: Callable[..., Any] = function
    return found


def project_module(name: str) -> ModuleType:
    """Import a module of the project; raises NotUsable.

    No other code is run: a file of connections is no program, and could name any function that is installed.
    """
    if not MODULE.fullmatch(name):
        raise NotUsable(f"{name or 'nothing'} is no name of a module")
    try:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None and is_of_project(spec.origin):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and not f"{name}.".startswith(f"{error.name}."):
            raise NotUsable(f"{name} needs the package {error.name}, which is not installed") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a module may raise anything while it is imported
        raise NotUsable(f"{name} cannot be imported: {describe_failure(error)}") from None
    raise NotUsable(f"{name} is no module of the project")


def is_of_project(file: str) -> bool:
    """Tell whether a file of code is the project's own, and of no installed package."""
    path = Path(file).resolve()
    is_within = path.is_file() and path.is_relative_to(settings.PROJECT)
    return is_within and INSTALLED.isdisjoint(path.relative_to(settings.PROJECT).parts)


def describe_failure(error: BaseException) -> str:
    """Return the place in the user's own code that an exception left last, and its kind.

    Its message may quote values and secrets, so that is left out.
    """
    kind = type_name(error)
    if isinstance(error, SyntaxError) and error.filename and is_of_project(error.filename):
        return f"{_shown(error.filename)}:{error.lineno}: {kind}{HIDDEN}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if is_of_project(one.filename) and not Path(one.filename).is_relative_to(PACKAGE)]
    if not own:
        return f"{kind}{HIDDEN}"
    within = "" if frames[-1] == own[-1] else f" (within {Path(frames[-1].filename).name})"
    return f"{_shown(own[-1].filename)}:{own[-1].lineno}, in {own[-1].name}: {kind}{within}{HIDDEN}"


def place_of(code: object) -> str:
    """Return where a generator of the project's is at work, or where a function begins; empty for other code."""
    frame = getattr(code, "gi_frame", None)
    if frame is not None:
        file, line = frame.f_code.co_filename, frame.f_lineno
    else:
        within = getattr(inspect.unwrap(code) if callable(code) else code, "__code__", None)
        file, line = getattr(within, "co_filename", ""), getattr(within, "co_firstlineno", 0)
    return f"{_shown(file)}:{line}" if is_of_project(file) else ""


def _shown(file: str) -> str:
    return Path(file).resolve().relative_to(settings.PROJECT).as_posix()
