"""The catalogue of faults, made from the tests: `make faults` runs them and prints each result.

A test is named `test_fault_07_…`, or `test_fault_07_13_…` if it covers two faults. Its docstring is a sentence that
describes the fault. The required outcome follows, in brackets or after a colon:

- I: a repetition leaves the same final state
- Q: quarantined, with the record as it came and the reason
- F: failed closed, with a clear error; the published release stays
- A: a person is alerted
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

COVERED = (*range(1, 63), 65, *range(70, 91), *range(93, 120), *range(125, 129), 141)
"""The numbers of the faults that this version covers; the others belong to parts that are not built yet."""

OF_SERVICES = {51, 52, 54, 55, 56, 76, 77, 141}
"""Those that only a real service shows: `make test-services` runs their tests."""

NAMED = re.compile(r"test_fault_((?:\d{2,3}_)+)")
OUTCOME = re.compile(r"(?: [(]|: )([IQFA](?:, [IQFA])*)[).]")
UNSAID = "?"


@dataclass(frozen=True, order=True)
class Fault:
    """A fault of the catalogue, as a test reproduces it."""

    number: int
    done: str
    outcome: str


def faults_of(name: str, docstring: str | None) -> list[Fault]:
    """Return the faults in the name of a test, an empty list for other tests; a missing outcome is «?»."""
    named, text = NAMED.match(name), " ".join((docstring or "").split())
    outcome = ", ".join(OUTCOME.findall(text)) or UNSAID
    done = OUTCOME.sub("", text).rstrip(".") or name
    numbers = named[1].strip("_").split("_") if named else ["00"] if "test_fault" in name else []
    return [Fault(int(number), done, outcome) for number in numbers]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", action="store_true", help="print the catalogue of faults")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("faults") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Catalogue())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Record the faults of each test in its properties."""
    for item in items:
        function = getattr(item, "originalname", item.name)
        for fault in faults_of(function, getattr(getattr(item, "function", None), "__doc__", None)):
            item.user_properties.append(("fault", (fault.number, fault.done, fault.outcome)))


@dataclass
class Catalogue:
    """Collects the results of all workers, and prints them once."""

    results: dict[Fault, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            for name, value in report.user_properties:
                if name == "fault":
                    self.results[Fault(*value)][report.outcome] += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.wanting() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("faults")
        for line in self.lines():
            terminalreporter.write_line(line)

    def wanting(self) -> list[str]:
        """Return the faults without a test, with a failed test, or with a test that states no outcome."""
        passed = {fault.number for fault, counts in self.results.items() if counts["passed"]}
        failed = {fault.number for fault, counts in self.results.items() if counts["failed"]}
        findings = {
            "no test that passed": {*COVERED} - OF_SERVICES - passed - failed,
            "a test that failed": failed,
            "a test whose docstring names no outcome": {one.number for one in self.results if one.outcome == UNSAID},
        }
        return [
            f"{finding}: {', '.join(f'{number:02}' for number in sorted(numbers))}"
            for finding, numbers in findings.items()
            if numbers
        ]

    def lines(self) -> Iterable[str]:
        """Yield the table, one row per fault: number, required outcome, result, description."""
        for fault in sorted(self.results):
            counts = self.results[fault]
            came_to = "FAILED" if counts["failed"] else "passed" if counts["passed"] else "skipped"
            cases = f" × {sum(counts.values())}" if sum(counts.values()) > 1 else ""
            yield f"{fault.number:02}  {fault.outcome:<10}  {came_to + cases:<12}  {fault.done}"
        seen = len({*COVERED} - OF_SERVICES)
        yield f"make test-services: {', '.join(f'{number:02}' for number in sorted(OF_SERVICES))}"
        yield from self.wanting() or [f"all other {seen} faults that this version answers for came to what they must"]
