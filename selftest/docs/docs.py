#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
#
# docs.py check ROOT [BUILD]     every block, link and command line of *.md and docs/*.md; command lines of
#                                tidewait only with BUILD, where the command is built
# docs.py outputs ROOT BUILD     every output that a page shows, against a real run
# docs.py update ROOT BUILD      the same, and writes what differs into the pages
#
# The line before a fenced block says what it is:
#
#   <!-- examples/foo.cpp -->          whole lines of that file, which a test builds or runs
#   <!-- examples/foo.cpp [name] -->   the same, from between two lines "// [name]" or "# [name]"
#   <!-- output name -->               what selftest/docs/outputs/name.sh prints
#
# A block of sh, or of yaml for a CI system, needs no such line: its syntax is checked, and that each
# `tidewait` and `./dev` in it has the verb and the options that it is called with. So is each
# `tidewait ...` in running text.
import concurrent.futures
import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import terminal_svg

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.M | re.S)
MARKER = re.compile(r"<!-- (\S+)(?: (?:\[(\S+)\]|(\S+)))? -->\n *$")
PICTURES = {"failure": "docs/failure.svg"}
SKIPPED = 77
FAILED = "exit code"


def pages(root):
    return sorted([*root.glob("*.md"), *root.glob("docs/*.md")])


def prose(text):
    """The page without its fenced blocks."""
    return FENCE.sub("", text)


def script_of(root, name):
    return root / "selftest/docs/outputs" / f"{name}.sh"


def marker(text, fence):
    return MARKER.search(text, 0, fence.start())


# --- blocks -----------------------------------------------------------------------------------------


def quote_flaw(root, source, region, block):
    """What is wrong with a block that quotes `source`; None if nothing is."""
    if not (root / source).is_file():
        return f"there is no {source}"
    text, place = (root / source).read_text(), source
    if region:
        place = f"{source} [{region}]"
        parts = re.split(rf"^.* \[{re.escape(region)}\]\n", text, flags=re.M)
        if len(parts) != 3:
            return f"{source} has no two lines [{region}]"
        text = parts[1]
    if "\n" + block not in "\n" + text:
        return f"not lines of {place}"
    return None


def block_flaw(root, page, text, fence, help_of):
    indent, language, block = fence.groups()
    block = re.sub(rf"^{indent}", "", block, flags=re.M)
    named = marker(text, fence)
    if named and named[1] == "output":
        script = script_of(root, named[3])
        return None if script.is_file() else f"there is no {script.relative_to(root)}"
    if named:
        return quote_flaw(root, named[1], named[2], block)
    if language == "sh":
        return shell_flaw(root, block, help_of)
    if language == "yaml":  # of a CI system: its commands
        commands = re.findall(r"^ *- (?:run: )?((?:tidewait|ctest|cmake|sudo|\./dev) .*)$", block, re.M)
        return shell_flaw(root, "\n".join(commands), help_of) if commands else "no command in it"
    return "no line before it names its source"


# --- command lines ----------------------------------------------------------------------------------


class Help:
    """What `tidewait --help` and `./dev help` say, each asked once."""

    def __init__(self, root, build):
        self.command = build / "src/command/tidewait" if build else None
        dev = root / "dev"
        text = subprocess.run([dev, "help"], capture_output=True, text=True).stdout if dev.exists() else ""
        self.dev_verbs = set(re.findall(r"^  ([a-z-]+)  ", text, re.M)) | {"help"}
        self.known = {}

    def text(self, verbs):
        if verbs not in self.known:
            self.known[verbs] = subprocess.run(
                [self.command, *verbs, "--help"], capture_output=True, text=True).stdout
        return self.known[verbs]

    def verbs(self, verbs=()):
        text = self.text(verbs)
        return set(re.findall(r"^  ([a-z]+)  ", text, re.M)) if "SUBCOMMAND" in text else set()

    def options(self, verbs=()):
        return set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", self.text(verbs), re.M)) | \
            set(re.findall(r"^  (-\w), --", self.text(verbs), re.M))


def command_flaw(line, help_of):
    """What is wrong with one call of tidewait or ./dev; None if nothing is."""
    words = line.split()
    if words[0] == "./dev":
        return None if words[1] in help_of.dev_verbs else f"./dev has no verb '{words[1]}'"
    if not help_of.command:
        return None
    verbs = ()
    for word in words[1:]:
        if word == "--":
            break
        if word in help_of.verbs(verbs):
            verbs += (word,)
        elif word.startswith("-"):
            for option in word.split("=")[0].split("|"):
                if option not in help_of.options(verbs):
                    return f"tidewait {' '.join(verbs)} has no option {option}"
        elif not verbs and re.fullmatch("[a-z]+", word):
            return f"tidewait has no verb '{word}'"
    return None


def calls(text):
    """Calls of tidewait and ./dev in a shell text."""
    text = re.sub(r"\\\n", " ", text)
    for line in text.splitlines():
        line = re.sub(r"(^|\s)#.*", "", line)
        for call in re.findall(r"(?:^|[&|;(]|--)\s*((?:tidewait|\./dev) [^&|;)]+)", line):
            yield call.strip()


def shell_flaw(root, block, help_of):
    run = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True)
    if run.returncode != 0:
        return "bash cannot read it"
    flaws = filter(None, (command_flaw(call, help_of) for call in calls(block)))
    return next(flaws, None)


def inline_flaws(text, help_of):
    for code in re.findall(r"`((?:tidewait|\./dev) [^`]+)`", prose(text)):
        code = code.replace("VERB", "why").replace("SUBCOMMAND", "why")
        flaw = command_flaw(re.split(" [&|] ", code)[0], help_of)
        if flaw:
            yield f"{flaw}:\n    {code}"


# --- links ------------------------------------------------------------------------------------------


def anchors(path):
    """The anchors of the headings of a page, as GitHub makes them."""
    found = {}
    for heading in re.findall(r"^#+ (.*)$", prose(path.read_text()), re.M):
        heading = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return {f"{slug}-{n}" if n else slug for slug, last in found.items() for n in range(last + 1)}


def link_flaws(page, text):
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(text)))
    for target in targets:
        if re.match("https?:|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name) if name else page
        if not path.exists():
            yield f"no such file: {target}"
        elif anchor and anchor not in anchors(path):
            yield f"no such heading: {target}"


def unreachable(root):
    """Pages of docs/ that no other page links to."""
    linked = set()
    for page in pages(root):
        for target in re.findall(r"\]\(([^)\s#]+)", prose(page.read_text())):
            path = (page.parent / target).resolve()
            if path != page.resolve():
                linked.add(path)
    return [page for page in root.glob("docs/*.md") if page.resolve() not in linked]


def missing(root):
    """What a page that claims to be complete leaves out."""
    page = root / "docs/api.md"
    if page.exists():
        headers = [*root.glob("include/tidewait/*.hpp"), *root.glob("adapters/*/include/tidewait/*.hpp")]
        names = sorted(f"<tidewait/{header.name}>" for header in headers)
        yield from (f"docs/api.md: {name} is not in it" for name in names if name not in page.read_text())
    page = root / "docs/reference.md"
    if page.exists():
        sources = [path.read_text() for folder in ("include", "adapters", "src")
                   for path in root.glob(f"{folder}/**/*.[ch]pp")]
        names = set(re.findall(r'"(TIDEWAIT_[A-Z]+(?:_[A-Z]+)*)_?"', "\n".join(sources)))
        text = page.read_text()
        yield from (f"docs/reference.md: {name} is not in it" for name in sorted(names) if name not in text)


def check(root, build):
    help_of = Help(root, build)
    flaws = []
    for page in pages(root):
        text, name = page.read_text(), page.relative_to(root)
        for fence in FENCE.finditer(text):
            flaw = block_flaw(root, page, text, fence, help_of)
            if flaw:
                flaws.append(f"{name}: {flaw}:\n    " + fence[3].replace("\n", "\n    "))
        flaws += [f"{name}: {flaw}" for flaw in [*link_flaws(page, text), *inline_flaws(text, help_of)]]
    flaws += [f"{page.relative_to(root)}: no page links to it" for page in unreachable(root)]
    flaws += missing(root)
    for flaw in flaws:
        print(flaw)
    return 1 if flaws else 0


# --- outputs ----------------------------------------------------------------------------------------


def run_script(root, build, name):
    """The output of a script, in a network namespace of its own; None: that is denied here."""
    alone = ["unshare", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode != 0:
        alone = ["unshare", "--user", "--map-root-user", "--net"]
        if subprocess.run([*alone, "true"], capture_output=True).returncode != 0:
            return None
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "PATH": f"{build}/src/command:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": folder, "TERM": "dumb", "LC_ALL": "C.UTF-8", "BUILD": str(build),
            "LIBRARY": str(root / "selftest/docs/outputs/library.bash"),
        }
        run = subprocess.run([*alone, "bash", script_of(root, name)], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    if run.returncode != 0:
        return f"{FAILED} {run.returncode}\n{run.stdout}"
    return "".join(line.rstrip() + "\n" for line in run.stdout.strip("\n").split("\n"))


def normalised(text, script):
    """Words, with N for each number that the script does not name: pids, times, ports of the kernel's
    choice. Where lines break and how wide columns are depends on these numbers, so neither counts."""
    named = set(re.findall(r"\d+", script)) | set("0123456789")
    text = re.sub(r"^ *seen by:.*\n?(  +\S.*\n?)*", "", text, flags=re.M)  # what this user may see
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(r"\b\d+(\.\d+)?\s?(ms|s|min)\b", "N s", text)
    text = re.sub(r"\b[0-9a-f]{5,}\b", lambda n: n[0] if n[0] in named else "N", text)  # cookies, pids
    text = re.sub(r"\d+(\.\d+)?", lambda n: n[0] if n[0] in named else "N", text)
    return text.split()


def shown(root):
    """(page, name, text shown, replace(new text)) of each output on a page and in a picture."""
    for page in pages(root):
        text = page.read_text()
        for fence in FENCE.finditer(text):
            named = marker(text, fence)
            if named and named[1] == "output" and script_of(root, named[3]).exists():
                def replace(new, page=page, head=named[0] + fence[0].split("\n")[0] + "\n", old=fence[3]):
                    page.write_text(page.read_text().replace(head + old, head + new, 1))
                yield page, named[3], fence[3], replace
    for name, picture in PICTURES.items():
        path = root / picture
        if path.exists():
            yield path, name, terminal_svg.text_of(path.read_text()), \
                lambda new, path=path: path.write_text(terminal_svg.picture(new))


def outputs(root, build, write):
    if tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2]) < (6, 8):
        print("skipped: before Linux 6.8 bound sockets that do not listen are not shown")
        return SKIPPED
    if not pathlib.Path("/proc/net/if_inet6").exists():
        print("skipped: without IPv6 some outputs are different")
        return SKIPPED
    blocks = list(shown(root))
    names = sorted({name for _, name, _, _ in blocks})
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        real = dict(zip(names, pool.map(lambda name: run_script(root, build, name), names)))
    if None in real.values():
        print("skipped: this user may not make a network namespace here")
        return SKIPPED
    wrong = 0
    for page, name, old, replace in blocks:
        script = script_of(root, name).read_text()
        before, after = normalised(old, script), normalised(real[name], script)
        if before == after:
            continue
        if write and not real[name].startswith(FAILED):
            plain = real[name] if page.suffix == ".svg" else re.sub(r"\x1b\[[0-9;]*m", "", real[name])
            replace(plain)
            print(f"{page.relative_to(root)}: updated {name}")
            continue
        wrong += 1
        print(f"{page.relative_to(root)}: {name}.sh prints something else (./dev docs updates it):")
        difference = difflib.unified_diff(before, after, "shown", "real", n=4, lineterm="")
        print("".join(f"  {line}\n" for line in difference), end="")
    used = set(names) | set(PICTURES)
    for script in sorted((root / "selftest/docs/outputs").glob("*.sh")):
        if script.stem not in used:
            print(f"no page shows the output of {script.name}")
            wrong += 1
    return 1 if wrong else 0


def main():
    verb, root = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    build = pathlib.Path(sys.argv[3]).resolve() if len(sys.argv) > 3 else None
    if verb == "check":
        return check(root, build)
    return outputs(root, build, verb == "update")


if __name__ == "__main__":
    sys.exit(main())
