#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
#
# single_header.py ROOT OUTPUT
#
# Writes <tidewait/tidewait.hpp> and all that it includes into one file, for Linux and without the compiled
# library: what a preprocessor would read, in that order. Includes of the system stand at the top unless
# they depend on a condition, and before them what stops the wrong compiler.
import pathlib
import re
import sys

UMBRELLA = "tidewait/tidewait.hpp"
FIRST = "tidewait/detail/requirements.hpp"
# The conditions that are decided here: in a single header none of these is defined.
UNDEFINED = {"TIDEWAIT_BACKEND", "TIDEWAIT_COMPILED", "_WIN32"}
INCLUDE = re.compile(r"# *include +(\S+)")
# <tidewait/detail/os.hpp> names the files of the system, which lie beside the header that includes them.
CHOICE = re.compile(r'# *define +(TIDEWAIT_OS_[A-Z]+) +"(.+)"')
CONDITION = re.compile(r"# *(if|ifdef|ifndef|elif|else|endif)\b *(.*?) *(?://.*)?$")
OMITTED = re.compile(r"# *pragma once|// SPDX-License-Identifier:")
# Would change what the includes that are moved to the top declare.
FOREIGN_MACRO = re.compile(r"# *(define|undef) +(?!TIDEWAIT_)")
LIVE = {"keep", "take"}


class Flaw(Exception):
    pass


def verdict(kind, condition):
    """Whether a condition holds; None if only the compiler knows."""
    if kind in ("ifdef", "ifndef"):
        condition = ("!" if kind == "ifndef" else "") + f"defined({condition})"
    parts = [re.fullmatch(r"(!?)defined\((\w+)\)", part.strip()) for part in condition.split("&&")]
    known = [part[1] == "!" if part and part[2] in UNDEFINED else None for part in parts]
    if False in known:
        return False
    return None if None in known else True


def follow(branches, kind, condition):
    """Follows an #if, #elif, #else or #endif. True if the line stays, for the compiler to decide.

    `branches` has the current branch of each #if around: "keep" where the compiler decides, "take", "skip",
    or "done" after the one that is taken.
    """
    if kind.startswith("if"):
        holds = verdict(kind, condition)
        live = LIVE.issuperset(branches)
        branches.append({None: "keep", True: "take", False: "skip"}[holds] if live else "done")
        return branches[-1] == "keep"
    if not branches:
        raise Flaw("no #if before it")
    branch = branches.pop()
    if kind == "endif":
        return branch == "keep"
    if branch == "skip":
        holds = kind == "else" or verdict(kind, condition)
        if holds is None:
            raise Flaw("only the compiler knows whether this holds, and the branch before is left out")
        branch = "take" if holds else "skip"
    elif branch == "take":
        branch = "done"
    branches.append(branch)
    return branch == "keep"


class SingleHeader:
    def __init__(self, include):
        self.include = include
        self.seen = set()
        self.chosen = {}  # the file that each name of <tidewait/detail/os.hpp> stands for
        self.guards = []  # what stops the compiler, ahead of everything
        self.system = []  # includes of the system, in the order of their first use
        self.body = []

    def add(self, name):
        """Adds a header and, where it includes them, those of tidewait that are not there yet."""
        if name in self.seen:
            return
        self.seen.add(name)
        branches = []
        group = []  # what the compiler decides, from #if to #endif
        for number, line in enumerate((self.include / name).read_text().splitlines(), 1):
            try:
                directive = CONDITION.match(line)
                if directive:
                    if follow(branches, *directive.groups()):
                        group.append(line)
                elif LIVE.issuperset(branches):
                    self.add_line(self.resolve(name, line), group)
                if group and "keep" not in branches:
                    stops = any(re.match(r"# *error\b", one) for one in group)
                    (self.guards if stops else self.body).extend(group)
                    group = []
            except Flaw as flaw:
                raise Flaw(f"{name}:{number}: {flaw}:\n  {line}") if "\n" not in str(flaw) else flaw
        if branches:
            raise Flaw(f"{name}: an #if without #endif")

    def resolve(self, name, line):
        """A line of a header, where it includes a file of the system with that file's path."""
        included = INCLUDE.match(line)
        if included and included[1] in self.chosen:
            path = pathlib.PurePosixPath(name).parent / self.chosen[included[1]]
            return f"#include <{path}>"
        return line

    def add_line(self, line, group):
        choice = CHOICE.match(line)
        if choice:
            self.chosen[choice[1]] = choice[2]
            return
        included = INCLUDE.match(line)
        header = included and re.fullmatch(r"<(.+)>", included[1])
        if included and not header:
            raise Flaw("neither a header of tidewait nor one of the system")
        if FOREIGN_MACRO.match(line):
            raise Flaw("includes of the system that come later would see this macro")
        if group:
            if header and header[1].startswith("tidewait/"):
                raise Flaw("only the compiler knows whether to include this")
            group.append(line)
        elif header and header[1].startswith("tidewait/"):
            self.add(header[1])
        elif header:
            if header[1] not in self.system:
                self.system.append(header[1])
        elif not OMITTED.match(line):
            self.body.append(line)

    def text(self, version, licence):
        comment = "\n".join(f"// {line}".rstrip() for line in licence.splitlines())
        parts = [
            "// SPDX-License-Identifier: BSL-1.0",
            f"//\n// tidewait {version}, port hygiene for C++ tests: the core for Linux as a single header. Made from",
            f"// <{UMBRELLA}> by src/library/single_header.py: change the headers there. Include this file or",
            "// <tidewait/...>, not both.\n//",
            comment,
            "#pragma once\n",
            *self.guards,
            "",
            *(f"#include <{name}>" for name in self.system),
            "",
            *self.body,
        ]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def main():
    root, output = map(pathlib.Path, sys.argv[1:])
    header = SingleHeader(root / "include")
    try:
        header.add(FIRST)
        header.add(UMBRELLA)
    except Flaw as flaw:
        sys.exit(f"single_header.py: {flaw}")
    version = re.findall(r"#define TIDEWAIT_VERSION_\w+ (\d+)", (root / "include/tidewait/version.hpp").read_text())
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(header.text(".".join(version), (root / "LICENSE").read_text()))


if __name__ == "__main__":
    main()
