"""The largest memory of this process."""

from pathlib import Path


def largest_resident_mb() -> float:
    """Return the largest resident memory of this process, in megabytes (10^6 bytes).

    `getrusage` is not used: a child process inherits the figure of the process that started it.
    """
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("/proc/self/status has no line VmHWM")
