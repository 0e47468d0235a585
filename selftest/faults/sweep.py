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
import errno
import json
import os
import pathlib
import queue
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True  # the folder is the project's
from fault_jobs import LONGEST, Job, can_have_namespaces, serve_jobs  # noqa: E402
from fault_scenarios import Place, scenarios  # noqa: E402

SKIPPED = 77  # what CTest is told to take for "skipped"
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


def injections(scenario, indices, stride):
    """All; with `stride` of each call the first one in each way, and the last one in one way."""
    for call, numbers in sorted(indices.items()):
        errors = ERRNOS.get(call, ANY_OTHER)
        if stride:
            chosen = [(error, numbers[0]) for error in errors[:1 if scenario.slow else None]]
            chosen += [(errors[0], number) for number in numbers[1:][-1:]]
        else:
            chosen = [(error, number) for error in errors for number in numbers]
        for error, number in chosen:
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
    # What may not be removed stays.
    for each in outcome.files if call not in ("unlink", "unlinkat") else ():
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
                        help="of each call the first one, in each way, and the last one, in one way")
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
    if not wanted:
        print(f"no scenario is called {arguments.only!r}, or its program is not built")
        return 1
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
