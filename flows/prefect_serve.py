"""`python -m flows.prefect_serve PORT`: a Prefect server on loopback that ends when whoever started it is gone.

Its standard input is a pipe that the starter holds: the kernel closes it even if the starter is killed.
"""

import os
import signal
import sys
import threading

import uvicorn
from prefect.server.api.server import create_app


def end_with_the_starter() -> None:
    """Wait until the other end of standard input is closed, then ask this process to stop."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=end_with_the_starter, daemon=True).start()
    uvicorn.run(create_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", lifespan="on")
