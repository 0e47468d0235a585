# SPDX-License-Identifier: BSL-1.0
"""Runs the scenarios of sweep.py, each time with a call that fails, in namespaces of their own."""

import contextlib
import ctypes
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from fault_scenarios import Outcome, Place, scenarios

LONGEST = 20.0  # seconds; to end a process that ignores SIGTERM takes two
SWEEP = pathlib.Path(__file__).resolve().with_name("sweep.py")

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


def kill_below(pid, spared):
    """Ends what is left, and reaps it: this process is its reaper."""
    for each in processes_below(pid):
        if each not in spared:
            with contextlib.suppress(OSError):
                os.kill(each, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                if spared.issuperset(children_of(pid)):
                    return
                time.sleep(0.002)


class Bystanders:
    """Processes that nobody may end: one in this session, one in another, one of another run."""

    def __init__(self):
        self.pids = {}

    def start(self):
        plain = {name: value for name, value in os.environ.items() if name != "TIDEWAIT_RUN"}
        for name, more, environment in (("bystander", {}, plain),
                                        ("bystander in a session of its own",
                                         {"start_new_session": True}, plain),
                                        ("bystander of another run", {},
                                         {**plain, "TIDEWAIT_RUN": "0123456789abcdef"})):
            if not describe(self.pids.get(name, 0)):
                self.pids[name] = subprocess.Popen(["sleep", "100000"], env=environment, **more).pid

    def flaws(self):
        return [f"ended a {name}" for name, pid in self.pids.items() if not describe(pid)]


def strace_of(log, scenario, inject):
    command = ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(log)]
    if not scenario.becomes:
        command.append("--detach-on=execve")
    if inject:
        call, rest = inject.split(":", 1)
        command += ["-e", f"trace={call}", "-e", f"inject={call}:{rest}"]
    return command


def attempt(place, scenario, inject, bystanders):
    """Runs a scenario once. Returns what came of it and strace's lines."""
    bystanders.start()
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
        flaws += bystanders.flaws()
    kill_below(os.getpid(), set(bystanders.pids.values()))
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
    bystanders = Bystanders()
    try:
        for number, line in enumerate(sys.stdin):
            asked = json.loads(line)
            here = folder / str(number)
            here.mkdir()
            place = Place(arguments.tidewait, arguments.programs, here, free_port(number))
            outcome, flaws, lines = attempt(place, all_scenarios[asked["scenario"]], asked["inject"],
                                            bystanders)
            shutil.rmtree(here)
            print(json.dumps({"outcome": dataclasses.asdict(outcome), "flaws": flaws, "lines": lines}),
                  flush=True)
    finally:
        kill_below(os.getpid(), set())
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
        command = [*namespaces, sys.executable, str(SWEEP), "--job", "--tidewait", arguments.tidewait,
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
