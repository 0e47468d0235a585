# SPDX-License-Identifier: BSL-1.0
"""The scenarios of sweep.py: what is run, and what must become of it."""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
from typing import Callable, Optional


@dataclasses.dataclass
class Place:
    """Where a scenario runs."""
    tidewait: str
    programs: pathlib.Path
    folder: pathlib.Path
    port: int

    def wrapped(self, *mode):
        return [str(self.programs / "faults_wrapped"), *mode]


@dataclasses.dataclass
class Outcome:
    status: Optional[int]  # exit code, minus a signal; None: it hung
    out: str
    err: str
    left: list  # "pid command line" of each process
    files: list
    said: str = ""

    def __post_init__(self):
        self.said = self.out + self.err


@dataclasses.dataclass
class Scenario:
    name: str
    argv: Callable  # Place -> list
    status: int  # the exit code without a fault
    bad: bool = False  # it never may exit with 0
    around: Callable = contextlib.nullcontext  # what is there while it runs
    check: Callable = lambda place, outcome: []  # -> what more is wrong, of any outcome
    files: tuple = ()  # what it may leave in its folder
    environment: dict = dataclasses.field(default_factory=dict)
    on_stdout: bool = False  # its messages go to the standard output, as those of test frameworks
    otherwise: dict = dataclasses.field(default_factory=dict)  # call -> a status that is as right
    becomes: bool = False  # it execs the command in its own place
    slow: bool = False  # it takes long: with --stride each call fails with its first errno only


@contextlib.contextmanager
def listener(place):
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", place.port))
        server.listen()
        yield


@contextlib.contextmanager
def serving(place):
    """A listener of another process."""
    with subprocess.Popen(place.wrapped("serve", str(place.port))) as child:
        try:
            for _ in range(1000):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", place.port)) == 0:
                        break
                time.sleep(0.005)
            yield
        finally:
            child.kill()


MARK = "00c0ffee00c0ffee"
EARLIER = "00badbad00badbad"


def marked(mark):
    @contextlib.contextmanager
    def process(place):
        (place.folder / "runs").mkdir()
        if mark == EARLIER:
            # The note of a gate whose process is gone.
            (place.folder / "runs" / mark).write_text("999999 1\n")
        child = subprocess.Popen(place.wrapped("stay"), env={**os.environ, "TIDEWAIT_RUN": mark})
        try:
            yield child
        finally:
            child.kill()
            child.wait()
    return process


@contextlib.contextmanager
def no_run(place):
    (place.folder / "runs").mkdir()
    yield


def says_or_shows(pattern):
    """What is there is shown, or it is said that something could not be seen."""
    def check(place, outcome):
        wanted = pattern.format(port=place.port)
        if outcome.status == 0 and not re.search(wanted, outcome.out) and not outcome.err:
            return [f"exit code 0 without {wanted!r} in the output, and nothing is said"]
        return []
    return check


def reports_agree(place, outcome):
    """A success has its reports, complete, and they say the same."""
    if outcome.status != 0:
        return []
    try:
        report = json.loads((place.folder / "report.json").read_text())
        text = (place.folder / "report.xml").read_text()
    except (OSError, ValueError) as error:
        return [f"exit code 0 without a whole report: {error}"]
    flaws = []
    if "</testsuite" not in text:
        flaws.append("exit code 0 and a torn JUnit report")
    if report.get("clean") is False:
        flaws.append("exit code 0 and a report that is not clean")
    return flaws


def rules(text):
    @contextlib.contextmanager
    def there(place):
        (place.folder / "known.txt").write_text(text + "\n")
        yield
    return there


KNOWN = "# why they are known\nport=1\nowner=nobody\n"


@contextlib.contextmanager
def known_ports(place):
    (place.folder / "known_ports.txt").write_text(KNOWN)
    yield


def is_pruned_or_whole(place, outcome):
    text = (place.folder / "known_ports.txt").read_text()
    flaws = [] if text in (KNOWN, "# why they are known\n") else [f"a torn file of rules: {text!r}"]
    if outcome.status == 0 and text == KNOWN and not outcome.err:
        flaws.append("exit code 0, and nothing is pruned")
    return flaws


def is_recorded(place, outcome):
    file = place.folder / "known_ports.txt"
    if outcome.status == 0 and not (file.exists() and "owner=faults_wrapped" in file.read_text()):
        return ["exit code 0, and the finding is not in the file"]
    return []


def scenarios():
    def run(*options, of):
        return lambda place: [place.tidewait, "run", *options, "--", *of(place)]

    def wrapped(*mode):
        return lambda place: place.wrapped(*mode)

    reports = ["--json", "report.json", "--junit", "report.xml"]
    yield Scenario("run-clean", run(of=wrapped("tidy")), 0)
    yield Scenario("run-clean-reports", run("--ports", "1", *reports, of=wrapped("ports", "1")), 0,
                   check=reports_agree, files=("report.json", "report.xml"))
    yield Scenario("run-failing", run(of=lambda _: ["false"]), 1, bad=True)
    yield Scenario("run-failing-abort", run("--abort", *reports, of=lambda _: ["false"]), 1, bad=True,
                   files=("report.json", "report.xml"))
    yield Scenario("run-not-found", run(of=lambda _: ["/no/such/command"]), 127, bad=True)
    yield Scenario("run-listener", run(of=wrapped("listener")), 97, bad=True)
    # Where raise(3) fails, the exit code of one that was ended by the signal says as much.
    yield Scenario("run-process", run("--abort", of=wrapped("process")), -6, bad=True,
                   otherwise={"tgkill": 128 + signal.SIGABRT})
    yield Scenario("run-escaped", run(of=wrapped("escaped")), 97, bad=True)
    yield Scenario("run-stubborn", run(of=wrapped("stubborn")), 97, bad=True, slow=True)
    yield Scenario("run-time-wait", run("--ports", "1", of=wrapped("time_wait", "{port:0}")), 97,
                   bad=True)
    yield Scenario("run-isolated", run("--isolate=require", of=wrapped("listener")), 97, bad=True)

    # A finding that is let pass is one that was written down.
    known = {"TIDEWAIT_POLICY": "@known.txt"}
    yield Scenario("known-record", lambda place: [place.tidewait, "known", "record", "--",
                                                  *place.wrapped("listener")], 0,
                   check=is_recorded, files=("known_ports.txt",))
    yield Scenario("known-prune", lambda place: [place.tidewait, "known", "prune", "--",
                                                 *place.wrapped("tidy")], 0, around=known_ports,
                   check=is_pruned_or_whole, files=("known_ports.txt",),
                   environment={"TIDEWAIT_POLICY": "@known_ports.txt"})
    yield Scenario("known-new", run(of=wrapped("listener")), 97, bad=True, around=rules("port=1"),
                   files=("known.txt",), environment=known)
    yield Scenario("known-strict", run("--strict", of=wrapped("tidy")), 97, bad=True,
                   around=rules("owner=nobody"), files=("known.txt",), environment=known)

    yield Scenario("why-free", lambda place: [place.tidewait, "why", str(place.port)], 0)
    yield Scenario("why-taken", lambda place: [place.tidewait, "why", str(place.port)], 1, bad=True,
                   around=listener)
    yield Scenario("free", lambda place: [place.tidewait, "free", "--yes", str(place.port)], 0,
                   around=serving)
    yield Scenario("free-json", lambda place: [place.tidewait, "free", "--yes", "--json",
                                               str(place.port)], 0, around=serving)
    yield Scenario("free-nobody", lambda place: [place.tidewait, "free", "--yes", str(place.port)], 0)

    def wait(what):
        return lambda place: [place.tidewait, "wait", what, "--timeout", "60ms", str(place.port)]
    yield Scenario("wait-listening", wait("--listening"), 0, around=listener)
    yield Scenario("wait-in-vain", wait("--listening"), 1, bad=True)
    yield Scenario("wait-free", wait("--free"), 1, bad=True, around=listener)
    yield Scenario("list", lambda place: [place.tidewait, "list"], 0, around=listener,
                   check=says_or_shows(":{port}\\b"))
    yield Scenario("list-json", lambda place: [place.tidewait, "list", "--json"], 0, around=listener,
                   check=says_or_shows("{port}"))

    def lease(*options, of):
        return lambda place: [place.tidewait, "lease", *options, "--", *of(place)]
    yield Scenario("lease", lease("2", of=wrapped("ports", "2")), 0, becomes=True)
    yield Scenario("lease-both", lease("1", "--both", of=wrapped("ports", "1")), 0, becomes=True)
    yield Scenario("lease-failing", lease(of=lambda _: ["false"]), 1, bad=True, becomes=True)
    yield Scenario("lease-not-found", lease(of=lambda _: ["/no/such/command"]), 127, bad=True,
                   becomes=True)

    def gate(what):
        return lambda place: [place.tidewait, "gate", what, "--runs", "runs"]
    run_of = {"TIDEWAIT_RUN": MARK}
    runs = ("runs", "runs/" + MARK, "runs/" + EARLIER)
    yield Scenario("gate-begin", gate("begin"), 0, around=no_run, files=runs, environment=run_of)
    yield Scenario("gate-begin-left", gate("begin"), 0, around=marked(EARLIER), files=runs,
                   environment=run_of)
    yield Scenario("gate-end", gate("end"), 0, around=no_run, files=runs, environment=run_of)
    yield Scenario("gate-end-left", gate("end"), 1, bad=True, around=marked(MARK), files=runs,
                   environment=run_of)
    yield Scenario("doctor", lambda place: [place.tidewait, "doctor"], 0, on_stdout=True, slow=True)

    def gtest(name, program="gtest_tests"):
        return lambda place: [str(place.programs / f"faults_{program}"), f"--gtest_filter={name}"]
    yield Scenario("gtest-tidy", gtest("Fixture.Tidy"), 0, on_stdout=True)
    yield Scenario("gtest-listener", gtest("Fixture.LeavesAListener"), 1, bad=True, on_stdout=True)
    yield Scenario("gtest-bound", gtest("Fixture.LeavesABoundSocket"), 1, bad=True, on_stdout=True)
    yield Scenario("gtest-udp", gtest("Fixture.LeavesAUdpSocket"), 1, bad=True, on_stdout=True)
    yield Scenario("gtest-time-wait", gtest("Fixture.LeavesTimeWait"), 1, bad=True, on_stdout=True)
    yield Scenario("gtest-auto-tidy", gtest("Auto.Tidy"), 0, on_stdout=True)
    yield Scenario("gtest-auto-listener", gtest("Auto.LeavesAListener"), 1, bad=True, on_stdout=True)

    def catch2(name):
        return lambda place: [str(place.programs / "faults_catch2_tests"), name]
    yield Scenario("catch2-tidy", catch2("tidy"), 0, on_stdout=True)
    yield Scenario("catch2-listener", catch2("leaves a listener"), 1, bad=True, on_stdout=True)
    yield Scenario("catch2-time-wait", catch2("leaves time_wait"), 1, bad=True, on_stdout=True)
    yield Scenario("catch2-auto-listener", catch2("auto leaves a listener"), 1, bad=True, on_stdout=True)

    def server(name):
        return gtest(name, "server_process_tests")
    yield Scenario("server-stopped", server("Server.IsStopped"), 0, on_stdout=True)
    yield Scenario("server-destroyed", server("Server.IsEndedByItsDestructor"), 0, on_stdout=True)
    yield Scenario("server-not-found", server("Server.CannotBeStarted"), 1, bad=True, on_stdout=True)
    yield Scenario("server-stubborn", server("Server.LeavesAStubbornProcess"), 1, bad=True,
                   on_stdout=True, slow=True)
    yield Scenario("server-escaped", server("Server.LeavesAProcess"), 1, bad=True, on_stdout=True)
