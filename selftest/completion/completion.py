#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
#
# completion.py <bash|zsh|fish> TIDEWAIT FOLDER: the completion of that shell, in FOLDER, offers the verbs
# and options that --help lists, for every verb, and some values.
import os
import pathlib
import re
import shutil
import subprocess
import sys

shell, tidewait, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
if not shutil.which(shell):
    print(f"{shell} is not installed")
    sys.exit(77)
os.environ["PATH"] = f"{tidewait.parent}:{os.environ['PATH']}"


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    if done.returncode != 0 or done.stderr:
        sys.exit(f"{command}: {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


BASH = """
source {file}
COMP_WORDS=("${{@:2}}") COMP_CWORD=$(($# - 2))
_tidewait
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# What zsh's functions for completion would be given, is printed.
ZSH = """
_describe() {{ print -rl -- "${{(@P)2}}" }}
_values() {{ shift; print -rl -- "$@" }}
_files() {{ print -l FILES }}
_normal() {{ print -l COMMANDS }}
compset() {{ : }}
words=("$@") CURRENT=$#
source {file}
"""


def offered(*words):
    """What is offered for the last word."""
    if shell == "bash":
        text = run("bash", "-c", BASH.format(file=folder / "tidewait.bash"), "bash", "-", *words)
    elif shell == "zsh":
        text = run("zsh", "-fc", ZSH.format(file=folder / "_tidewait"), *words[:1], *words)
        text = "".join(line.split(":")[0] + "\n" for line in text.splitlines())
    else:
        line = " ".join(words)
        text = run("fish", "--no-config", "-c", f"source {folder}/tidewait.fish; complete -C '{line}'")
        text = "".join(line.split("\t")[0] + "\n" for line in text.splitlines())
    return set(text.split())


wrong = []


def expect(words, wanted):
    real = offered("tidewait", *words)
    if real != wanted:
        wrong.append(f"tidewait {' '.join(words)}: offered {sorted(real)}, wanted {sorted(wanted)}")


def check(verbs):
    text = run(tidewait, *verbs, "--help")
    below = set(re.findall(r"^  ([a-z]+)  ", text, re.M)) if "SUBCOMMAND" in text else set()
    options = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", text, re.M))
    expect([*verbs, "--"], options)
    if below:
        expect([*verbs, ""], below)
    for verb in sorted(below):
        check([*verbs, verb])
    return len(options)


run(shell, "-n", folder / {"bash": "tidewait.bash", "zsh": "_tidewait", "fish": "tidewait.fish"}[shell])
if check([]) < 2:
    wrong.append("--help lists no options")
expect(["list", "--color", ""], {"auto", "always", "never"})
expect(["run", "--explain", ""], {"always", "failure", "never"})

# After --, another command is completed.
after = offered("tidewait", "run", "--", "tidewai")
if after not in ({"tidewait"}, {"COMMANDS"}):
    wrong.append(f"after --: {sorted(after)}")

print("\n".join(wrong))
sys.exit(1 if wrong else 0)
