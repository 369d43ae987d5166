"""Steps that the scripts of services share: a missing Debian package, and a free port."""

import os
import socket
import subprocess


def install_package(name: str) -> None:
    """Install a Debian package; raises RuntimeError with the command for a user who may not."""
    if os.geteuid() != 0:
        raise RuntimeError(f"{name} is not installed. Fix: apt-get install {name}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "--yes", "--no-install-recommends", name]):
        subprocess.run(["apt-get", "-qq", *step], check=True, capture_output=True, env=environment)


def free_port() -> int:
    """Return a port of 127.0.0.1 on which no server listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
