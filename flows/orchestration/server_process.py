"""`python -m flows.orchestration.server_process PORT`: a Prefect server on loopback that ends with its parent.

Its standard input is a pipe that the starter holds: the kernel closes it even if the starter is killed.
"""

import asyncio
import os
import re
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from prefect.server.api.server import create_app
from prefect.server.utilities.messaging.memory import METRICS
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from flows.config.sets import SET_NAME
from flows.config.settings import DataFolder

LAST_WORDS_SECONDS = 10


def end_with_the_starter() -> None:
    """Wait until the other end of standard input is closed, then ask this process to stop."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def recording_all(app: FastAPI) -> FastAPI:
    """Let a server record the events that it took before it stops; it would lose those that are still in memory."""
    serving = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with serving(app):
            yield
            deadline = time.monotonic() + LAST_WORDS_SECONDS
            events = METRICS["events"]
            while events["consumed"] < events["published"] and time.monotonic() < deadline:
                await asyncio.sleep(0.02)

    app.router.lifespan_context = lifespan
    return app


def with_sites(app: FastAPI) -> FastAPI:
    """Let a server show the docs sites of all sets, to which its artifacts link; nothing else of a set is served."""

    async def page(request: Request) -> Response:
        name = request.path_params["connection_set"]
        site = DataFolder.of(name).docs.parent.resolve()
        file = (site / request.path_params["page"]).resolve()
        if re.fullmatch(SET_NAME, name) and file.is_relative_to(site) and file.is_file():
            return FileResponse(file)
        return PlainTextResponse("There is no such page.", 404)

    app.router.routes.insert(0, Route("/sites/{connection_set}/{page:path}", page))
    return app


if __name__ == "__main__":
    threading.Thread(target=end_with_the_starter, daemon=True).start()
    uvicorn.run(
        with_sites(recording_all(create_app())),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="error",
        lifespan="on",
    )
