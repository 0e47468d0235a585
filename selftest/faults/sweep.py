#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Makes each system call that tidewait makes fail in turn, and looks at what becomes of it.

For each scenario (a command of tidewait, or a test program that uses it) the sweep records with
strace(1) which calls are made, from the end of the dynamic loader's work on. Then it runs the scenario
once for each call and each errno of ERRNOS, with that one call failing: strace's
inject=CALL:error=ERRNO:when=N. Whatever fails,

 1. a command that failed, leaked or did not run never has the exit code 0, nor has a test that leaked;
 2. nothing hangs;
 3. whatever changes the exit code is said;
 4. no process and no temporary file is left behind.

That a clean scenario may pass although a call has failed follows from its twins that leak: with the same
call failing they must not.

strace counts the calls of each process and thread by itself, so when=N is the Nth call of each of them.
What a wrapped command does after its execve is neither traced nor made to fail.

The scenarios run in network and process namespaces of their own, one pair for each job.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import errno
import json
import os
import pathlib
import queue
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import Callable, Optional

SKIPPED = 77  # what CTest is told to take for "skipped"
LONGEST = 20.0  # seconds; to end a process that ignores SIGTERM takes two
HERE = pathlib.Path(__file__).resolve()

# --- Which calls, and how they fail -------------------------------------------------------------

NEW_DESCRIPTOR = ["EMFILE", "ENOMEM", "EPERM"]
ERRNOS = {
    **dict.fromkeys(["socket", "socketpair", "pipe2", "eventfd2", "signalfd4", "timerfd_create",
                     "epoll_create1", "inotify_init1", "dup", "dup3"], NEW_DESCRIPTOR),
    **dict.fromkeys(["openat", "open"], ["EMFILE", "ENOMEM", "EACCES", "EINTR"]),
    **dict.fromkeys(["memfd_create", "pidfd_open", "pidfd_getfd", "close_range", "openat2"],
                    NEW_DESCRIPTOR + ["ENOSYS"]),
    **dict.fromkeys(["accept4", "accept"], ["EMFILE", "ENOMEM", "EINTR"]),
    **dict.fromkeys(["clone", "fork", "vfork", "unshare", "setns"], ["EAGAIN", "ENOMEM", "EPERM"]),
    "clone3": ["EAGAIN", "ENOMEM", "EPERM", "ENOSYS"],
    "execve": ["EACCES", "ENOMEM", "E2BIG"],
    **dict.fromkeys(["mmap", "mprotect", "mremap", "madvise"], ["ENOMEM"]),
    **dict.fromkeys(["read", "pread64", "readv"], ["EIO", "EINTR", "ENOMEM"]),
    **dict.fromkeys(["write", "pwrite64", "writev"], ["ENOSPC", "EINTR", "EPIPE"]),
    **dict.fromkeys(["poll", "ppoll", "select", "pselect6", "epoll_wait"], ["EINTR", "ENOMEM"]),
    # ECHILD of wait4(-1) is no failure but an answer: there is no child. Injected it would be a lie.
    "wait4": ["EINTR", "EINVAL"],
    "waitid": ["EINTR", "ECHILD"],
    **dict.fromkeys(["kill", "tgkill", "pidfd_send_signal"], ["EPERM", "ESRCH"]),
    **dict.fromkeys(["sendto", "sendmsg"], ["ENOBUFS", "EINTR", "EPERM", "ECONNREFUSED"]),
    **dict.fromkeys(["recvfrom", "recvmsg"], ["ENOBUFS", "EINTR", "EAGAIN", "ENOMEM"]),
    "bind": ["ENOMEM", "EACCES", "EPERM"],
    "listen": ["ENOMEM", "EPERM"],
    "connect": ["ECONNREFUSED", "EAGAIN", "EPERM", "EINTR"],
    **dict.fromkeys(["setsockopt", "getsockopt"], ["ENOMEM", "ENOPROTOOPT", "EPERM"]),
    **dict.fromkeys(["getdents64", "getrandom"], ["EIO", "ENOMEM", "EINTR", "ENOSYS"]),
    **dict.fromkeys(["readlinkat", "readlink", "newfstatat", "fstat", "statx", "faccessat2"],
                    ["EACCES", "ENOMEM"]),
    **dict.fromkeys(["unlink", "unlinkat", "rename", "renameat2", "mkdirat", "mkdir"],
                    ["EACCES", "ENOSPC", "EINTR"]),
    **dict.fromkeys(["prctl", "prlimit64", "fcntl", "flock"], ["EPERM", "EINVAL", "EINTR"]),
    "ioctl": ["EPERM", "ENOTTY"],
}
ANY_OTHER = ["EPERM", "ENOMEM", "EINTR"]

# Calls that are not made to fail, and why not.
LEFT_OUT = {
    "close": "on Linux it always closes; the injected failure would leave the descriptor open",
    "munmap": "fails only for arguments that nobody here passes",
    "brk": "fails by returning the old break; strace injects an errno, which no kernel does",
    "exit": "does not return",
    "exit_group": "does not return",
    "rt_sigreturn": "does not return",
    "restart_syscall": "is the kernel's continuation of another call",
    "futex": "glibc aborts the program if it fails otherwise than documented",
    **dict.fromkeys(["arch_prctl", "set_tid_address", "set_robust_list", "rseq"],
                    "is glibc's at the start of a program or thread"),
    **dict.fromkeys(["getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid",
                     "getpgrp", "umask", "sched_yield"], "always succeeds, as its manual page says"),
}

# --- Scenarios ----------------------------------------------------------------------------------


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

    yield Scenario("why-free", lambda place: [place.tidewait, "why", str(place.port)], 0)
    yield Scenario("why-taken", lambda place: [place.tidewait, "why", str(place.port)], 1, bad=True,
                   around=listener)
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


# --- One run ------------------------------------------------------------------------------------

def children_of(pid):
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split()
    return [int(each) for each in found]


def processes_below(pid):
    below = []
    todo = children_of(pid)
    while todo:
        each = todo.pop()
        below.append(each)
        todo += children_of(each)
    return below


def describe(pid):
    """The command line of a process that is alive, or None."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        if state in "ZX":
            return None
        line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return None
    return f"{pid} {line.strip()}"


def kill_below(pid):
    """Ends what is left, and reaps it: this process is its reaper."""
    for each in processes_below(pid):
        with contextlib.suppress(OSError):
            os.kill(each, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                if not children_of(pid):
                    return
                time.sleep(0.002)


def strace_of(log, scenario, inject):
    command = ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(log)]
    if not scenario.becomes:
        command.append("--detach-on=execve")
    if inject:
        call, rest = inject.split(":", 1)
        command += ["-e", f"trace={call}", "-e", f"inject={call}:{rest}"]
    return command


def attempt(place, scenario, inject):
    """Runs a scenario once. Returns what came of it and strace's lines."""
    before = set(processes_below(os.getpid()))
    log = place.folder.parent / (place.folder.name + ".strace")
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("TIDEWAIT_") and name != "GITHUB_ACTIONS"}
    environment.update(TMPDIR=str(place.folder), SELFTEST_WRAPPED=place.wrapped()[0],
                       LC_ALL="C", **scenario.environment)
    with scenario.around(place):
        around = set(processes_below(os.getpid()))
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            strace = subprocess.Popen(strace_of(log, scenario, inject) + scenario.argv(place), stdout=out,
                                      stderr=err, stdin=subprocess.DEVNULL, cwd=place.folder,
                                      env=environment)
            try:
                status = strace.wait(timeout=LONGEST)
            except subprocess.TimeoutExpired:
                status = None
                strace.kill()
                strace.wait()
            # Who is being killed needs a moment to be gone; strace ends with the first process.
            left = []
            for _ in range(25):
                below = [each for each in processes_below(os.getpid()) if each not in around]
                left = [text for text in map(describe, below) if text]
                if not left or status is None:
                    break
                time.sleep(0.02)
            for file in (out, err):
                file.seek(0)
            outcome = Outcome(status, out.read().decode(errors="replace"),
                              err.read().decode(errors="replace"), left, files_in(place, scenario))
        flaws = scenario.check(place, outcome) if status is not None else []
    kill_below(os.getpid())
    assert before <= around
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return outcome, flaws, lines


def files_in(place, scenario):
    found = [str(each.relative_to(place.folder)) for each in sorted(place.folder.rglob("*"))]
    return [each for each in found if each not in scenario.files]


# --- The job: a process in namespaces of its own, asked by lines of JSON -----------------------

def serve_jobs(arguments):
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    if arguments.private:
        set_loopback_up()
    all_scenarios = {each.name: each for each in scenarios()}
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tidewait-faults-"))
    try:
        for number, line in enumerate(sys.stdin):
            asked = json.loads(line)
            here = folder / str(number)
            here.mkdir()
            place = Place(arguments.tidewait, arguments.programs, here, free_port(number))
            outcome, flaws, lines = attempt(place, all_scenarios[asked["scenario"]], asked["inject"])
            shutil.rmtree(here)
            print(json.dumps({"outcome": dataclasses.asdict(outcome), "flaws": flaws, "lines": lines}),
                  flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port(number):
    """Outside of the ephemeral range and of what a lease would take first; free by a bind."""
    for port in range(7000 + number * 7 % 900, 8000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port
    raise RuntimeError("no port is free")


def set_loopback_up():
    import fcntl
    import struct
    SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
    with socket.socket() as any_socket:
        flags = struct.unpack("16sh22x", fcntl.ioctl(any_socket, SIOCGIFFLAGS,
                                                     struct.pack("16sh22x", b"lo", 0)))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))


NAMESPACES = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]


def can_have_namespaces():
    """The command that gives a job namespaces of its own, or none where that is denied."""
    for command in (NAMESPACES, [*NAMESPACES, "--user", "--map-root-user"]):
        if shutil.which("unshare") and subprocess.run(
                [*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return []


class Job:
    def __init__(self, arguments, namespaces):
        command = [*namespaces, sys.executable, str(HERE), "--job", "--tidewait", arguments.tidewait,
                   "--programs", str(arguments.programs)]
        if namespaces:
            command.append("--private")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def ask(self, scenario, inject=None):
        self.process.stdin.write(json.dumps({"scenario": scenario.name, "inject": inject}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a job of the sweep has ended at {scenario.name} {inject}")
        answer = json.loads(line)
        answer["outcome"].pop("said")
        return Outcome(**answer["outcome"]), answer["flaws"], answer["lines"]

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)


# --- Which injections ---------------------------------------------------------------------------

LINE = re.compile(r"^(\d+) +(?:(\w+)\(|<\.\.\. )")


def calls_of(lines):
    """Of each call the indices, from 1, that can be made to fail: those after the loader's work."""
    made = {}
    loading = None
    first = None
    candidates = {}
    for line in lines:
        found = LINE.match(line)
        if not found or not found[2]:
            continue
        pid, call = found[1], found[2]
        first = first or pid
        if made.get((first, "execve")) == 2:
            break  # the command that took its place
        made[pid, call] = made.get((pid, call), 0) + 1
        if pid == first and loading is None:
            # The loader's last call gives its cache back.
            loading = "cache" if "/ld.so.cache" in line else None
        if pid == first and loading != "done":
            if loading == "cache" and call == "munmap":
                loading = "done"
            continue
        candidates.setdefault(call, set()).add((pid, made[pid, call]))
    loaded = {}
    for (pid, call) in made:
        if pid == first:
            own = [n for p, n in candidates.get(call, ()) if p == first]
            loaded[call] = min(own) - 1 if own else made[pid, call]
    indices = {}
    for call, places in candidates.items():
        numbers = sorted({n for _, n in places if n > loaded.get(call, 0)})
        if numbers and call not in LEFT_OUT:
            indices[call] = numbers
    return indices


def chosen(numbers, stride):
    """All, or the first, a middle and the last one."""
    if not stride or len(numbers) <= 3:
        return numbers
    return sorted({numbers[0], numbers[len(numbers) // 2], numbers[-1]})


def injections(scenario, indices, stride):
    for call, numbers in sorted(indices.items()):
        for error in ERRNOS.get(call, ANY_OTHER)[:1 if stride and scenario.slow else None]:
            for number in chosen(numbers, stride):
                yield scenario, f"{call}:error={error}:when={number}"


# --- The verdict --------------------------------------------------------------------------------

SAYS_THAT = re.compile(r"cannot|could not|can't|not run|denied|unable|blind|hidden|not visible|"
                       r"does not show|bad_alloc|failed|no such|\b(?:reading|waiting for) ",
                       re.IGNORECASE)


def names_the_fault(said, inject):
    call, error, _ = inject.split(":")
    # pthread_create(3) says EAGAIN whatever clone3 said.
    said_instead = "EAGAIN" if call == "clone3" else error.split("=")[1]
    text = os.strerror(getattr(errno, error.split("=")[1]))
    texts = {text, os.strerror(getattr(errno, said_instead))}
    return (any(each in said for each in texts) or re.search(rf"\b{call}\b", said)
            or SAYS_THAT.search(said))


def verdict(scenario, inject, outcome, flaws):
    call = inject.split(":")[0]
    wrong = list(flaws)
    if outcome.status is None:
        wrong.append(f"hangs: alive after {LONGEST:g} s")
    elif outcome.status == 0 and scenario.bad:
        wrong.append(f"exit code 0 where {scenario.status} is right")
    elif outcome.status not in (scenario.status, scenario.otherwise.get(call)):
        said = outcome.said if scenario.on_stdout else outcome.err
        # What was to be written is the message.
        if call not in ("write", "writev") and not names_the_fault(said, inject):
            wrong.append(f"exit code {outcome.status}, not {scenario.status}, "
                         "and the reason is not said")
    for each in outcome.left:
        wrong.append(f"left a process: {each}")
    for each in outcome.files:
        wrong.append(f"left a file: {each}")
    return wrong


# --- The sweep ----------------------------------------------------------------------------------

def why_not():
    if not shutil.which("strace"):
        return "there is no strace (Debian, Ubuntu: apt-get install strace)"
    tried = subprocess.run(["strace", "-f", "-qq", "--detach-on=execve", "-o", os.devnull, "true"],
                           capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        return "strace does not work here: " + tried.stderr.strip()
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tidewait", required=True, help="the command")
    parser.add_argument("--programs", required=True, type=pathlib.Path,
                        help="the folder of the programs that are built beside this script")
    parser.add_argument("--stride", action="store_true",
                        help="of each call the first, a middle and the last one, instead of all")
    parser.add_argument("--only", default="", metavar="REGEX", help="these scenarios")
    parser.add_argument("--inject", metavar="CALL:error=ERRNO:when=N", help="only this; shows all of it")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--results", type=pathlib.Path, help="write each violation there, as JSON lines")
    parser.add_argument("--job", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--private", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        return serve_jobs(arguments)

    reason = why_not()
    if reason:
        print(f"SKIPPED, nothing was swept: {reason}")
        return SKIPPED
    arguments.tidewait = str(pathlib.Path(arguments.tidewait).resolve())
    arguments.programs = arguments.programs.resolve()
    namespaces = can_have_namespaces()
    if not namespaces:
        print("note: no namespaces of its own (unshare is denied): other processes are seen, too")
    if arguments.inject:
        arguments.jobs = 1
    jobs = [Job(arguments, namespaces) for _ in range(arguments.jobs)]
    try:
        return sweep(arguments, jobs)
    finally:
        for job in jobs:
            job.end()


def in_parallel(jobs, tasks, work):
    todo = queue.SimpleQueue()
    for task in tasks:
        todo.put(task)
    failures = []

    def serve(job):
        try:
            while True:
                work(job, todo.get_nowait())
        except queue.Empty:
            pass
        except Exception as error:  # a thread must not end without a word
            failures.append(error)
    threads = [threading.Thread(target=serve, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def sweep(arguments, jobs):
    here = Place(arguments.tidewait, arguments.programs, HERE, 1)
    wanted = [each for each in scenarios() if re.search(arguments.only, each.name)
              and os.path.exists(each.argv(here)[0])]  # without Catch2 its program is not built
    start = time.monotonic()
    if arguments.inject:
        for scenario in wanted:
            outcome, flaws, lines = jobs[0].ask(scenario, arguments.inject)
            print(f"--- {scenario.name}: exit code {outcome.status}", *lines[-40:],
                  "--- standard output", outcome.out, "--- standard error", outcome.err, sep="\n")
            print("---", *verdict(scenario, arguments.inject, outcome, flaws) or ["as it should be"])
        return 0

    plan = []
    broken = []

    def record(job, scenario):
        outcome, flaws, lines = job.ask(scenario)
        wrong = verdict(scenario, "none:error=E2BIG:when=0", outcome, flaws)
        if outcome.status != scenario.status:
            wrong.append(f"exit code {outcome.status}, not {scenario.status}")
        if wrong:
            broken.append(scenario.name)
            print(f"FAULTLESS {scenario.name}: {'; '.join(wrong)}\n{outcome.said}")
        else:
            plan.append((scenario, calls_of(lines)))

    in_parallel(jobs, wanted, record)
    plan.sort(key=lambda each: each[0].name)
    tasks = [each for scenario, indices in plan
             for each in injections(scenario, indices, arguments.stride)]
    print(f"{len(plan)} scenarios, {len(tasks)} injections", flush=True)

    reached = [0]
    violations = []
    results = open(arguments.results, "w") if arguments.results else None

    def inject(job, task):
        scenario, fault = task
        outcome, flaws, lines = job.ask(scenario, fault)
        if not any("(INJECTED)" in line for line in lines):
            if outcome.status == scenario.status:
                return  # timing: this time there was no such call
        else:
            reached[0] += 1
        wrong = verdict(scenario, fault, outcome, flaws)
        if not wrong:
            return
        violations.append((scenario.name, fault, wrong))
        print(f"{scenario.name} {fault}: {'; '.join(wrong)}\n    " +
              shlex.join([str(HERE), "--tidewait", arguments.tidewait, "--programs",
                          str(arguments.programs), "--only", f"^{scenario.name}$", "--inject", fault]),
              flush=True)
        if results:
            print(json.dumps({"scenario": scenario.name, "inject": fault, "wrong": wrong,
                              "status": outcome.status, "err": outcome.err,
                              "out": outcome.out[-1500:], "lines": [l for l in lines if "INJ" in l]}),
                  file=results, flush=True)

    in_parallel(jobs, tasks, inject)
    took = time.monotonic() - start
    print(f"{reached[0]} of {len(tasks)} calls were made to fail in {took:.0f} s; "
          f"{len(violations)} violations")
    if broken:
        print("not swept, since they do not even work without a fault:", ", ".join(sorted(broken)))
    if reached[0] < 0.8 * len(tasks):
        print("too few of the calls came again: the sweep says nothing")
        return 1
    return 1 if violations or broken else 0


if __name__ == "__main__":
    sys.exit(main())
