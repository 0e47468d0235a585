#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
#
# hints.py SOURCE REPORTS TIDEWAIT FILE COMPILER...: takes each line of C++ that a message prints, puts it
# into FILE in the place that the message names, and compiles that. REPORTS prints reports, TIDEWAIT
# (empty: not built) the advice of `tidewait report`; the other messages are those of selftest/golden.
import pathlib
import re
import subprocess
import sys

source, reports, tidewait, file = (pathlib.Path(each) if each else None for each in sys.argv[1:5])


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def lines(label, text):
    """What a report says behind the label, without line breaks."""
    return [" ".join(each.split()) for each in re.findall(rf"^ *{label}: (.*(?:\n {{7,}}.*)*)", text, re.M)]


golden = "".join(path.read_text() for path in sorted(source.glob("selftest/golden/*.txt")))

# In a fixture or watch.
policies = set()
for line in lines("tolerate", output(reports) + golden):
    if ", in TIDEWAIT_POLICY" in line:
        continue
    hint, place, rest = line.rpartition(", in a fixture or watch")
    if not place or rest:
        sys.exit(f"a line says no place: {line}")
    policies.add(hint)

# Calls in running text: those of tidewait, and those with their arguments.
calls = set(re.findall(r"\b(?:lease_\w+\(\)|\w+\((?:fd|[^()]*SHUT_\w+)\))", " ".join(lines("fix", golden))))

pasted = []
if tidewait:
    for step in re.findall(r"^ {7}\S.*(?:\n {7}\S.*)*", output(tidewait, "report", source / "selftest/docs/outputs/ports.jsonl"), re.M):
        if "tidewait_discover_tests(" not in step:
            pasted.append(step)
    if not pasted:
        sys.exit("the advice of `tidewait report` has no line of C++")
if len(policies) < 20 or not {"lease_port()", "lease_socket_path()", "close(fd)"} <= calls:
    sys.exit(f"hints are missing: {policies} {calls}")

text = """#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>

#include <tidewait/gtest.hpp>

struct any_server {
  void listen(std::uint16_t) {}
};
"""
for i, hint in enumerate(sorted(policies)):
    text += f"struct fixture_{i} : tidewait::gtest::fixture {{\n  fixture_{i}() : fixture{{{hint}}} {{}}\n}};\n"
    text += f"TEST(Watch, Number{i}) {{\n  tidewait::gtest::watch watch{{{hint}}};\n}}\n"
for i, call in enumerate(sorted(calls)):
    scope = "tidewait::" if call.startswith("lease_") else "::"
    text += f"void call_{i}([[maybe_unused]] int fd) {{\n  static_cast<void>({scope}{call});\n}}\n"
for i, step in enumerate(pasted):
    text += f"void paste_{i}([[maybe_unused]] any_server& server, [[maybe_unused]] int fd) {{\n{step}\n}}\n"
file.write_text(text)
done = subprocess.run([*sys.argv[5:], file])
print(f"{len(policies)} policies, {len(calls)} calls, {len(pasted)} steps of advice")
sys.exit(done.returncode)
