#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
#
# make_pages.py TIDEWAIT FOLDER: writes the manual page of each subcommand into FOLDER, from its --help and
# from VERB.mdoc beside this script (what the help has no room for), and the list of subcommands into the
# tidewait.1 there. The date is that of tidewait.1: the pages depend on nothing else.
import pathlib
import re
import subprocess
import sys
import textwrap

tidewait, folder = sys.argv[1], pathlib.Path(sys.argv[2])
here = pathlib.Path(__file__).parent


def roff(text):
    """The text as mdoc shows it unchanged: what can be copied stays ASCII, no line is a request."""
    for plain, escape in (("\\", "\\e"), ("-", "\\-"), ("`", "\\(ga"), ("'", "\\(aq"), ("^", "\\(ha"), ("~", "\\(ti")):
        text = text.replace(plain, escape)
    return re.sub(r"^\.", r"\\&.", text, flags=re.M)


def prose(text):
    """Running text, each sentence from the start of a line."""
    parts = re.split(r"(?<=\.) +(?=[A-Z=])", " ".join(text.split()))
    lines = [textwrap.fill(part, 78, break_long_words=False, break_on_hyphens=False) for part in parts]
    return roff("\n".join(lines)) + "\n"


def sentence(text):
    return prose(text + "." if re.search(r"[\w)]$", text) else text)


def arguments(text):
    """The macros for "[N] -- COMMAND [ARG...]"."""
    macros = []
    for word in text.split():
        optional = re.fullmatch(r"\[(.*)\](\.*)", word)
        if word == "--":
            macros.append("Fl -")
        elif optional:
            macros.append(f"Oo Ar {optional[1]}{optional[2]} Oc")
        else:
            macros.append("Ar " + word)
    return " ".join(macros)


def option(text):
    """The macros for "-j, --jobs N"."""
    macros = []
    for word in text.split():
        name, comma, _ = word.partition(",")
        macros.append(f"Fl {name[1:]}{' ,' if comma else ''}" if word.startswith("-") else "Ar " + word)
    return " ".join(macros)


def tagged(rows, macros):
    return ".Bl -tag -width Ds\n" + "".join(f".It {macros(left)}\n" + sentence(right) for left, right in rows) + ".El\n"


class Help:
    def __init__(self, *verbs):
        self.verbs = verbs
        text = subprocess.run([tidewait, *verbs, "--help"], capture_output=True, text=True, check=True).stdout
        self.what, self.usage, rest = re.fullmatch(r"(.*?)\n\nUsage: (.*?)\n\n(.*)", text, re.S).groups()
        table = re.match(r"(?:(?:  .*)?\n)*", rest)[0]
        self.text, _, self.examples = rest[len(table) :].rpartition("Examples:\n")
        self.options, self.others = [], []
        for left, right in re.findall(r"^  (\S+(?: \S+)*) {2,}(.*(?:\n {3,}.*)*)", table, re.M):
            of_option = re.match(r"--?\w", left)
            (self.options if of_option else self.others).append((left, right))

    def synopsis(self):
        macros = arguments(self.usage.partition("[options]")[2])
        return f".Nm tidewait {' '.join(self.verbs)}\n.Op Ar options\n" + (f".{macros}\n" if macros else "")


def page(verb, date):
    top = Help(verb)
    parts = [Help(verb, name) for name, _ in top.others] if "SUBCOMMAND" in top.usage else [top]
    text = '.\\" SPDX-License-Identifier: BSL-1.0\n'
    text += f'.\\" Made by make_pages.py from `tidewait {verb} --help`: ./dev docs writes it anew.\n'
    text += f".Dd {date}\n.Dt TIDEWAIT-{verb.upper()} 1\n.Os\n.Sh NAME\n.Nm tidewait-{verb}\n"
    text += f".Nd {roff(top.what[0].lower() + top.what[1:])}\n.Sh SYNOPSIS\n"
    text += "".join(part.synopsis() for part in parts)
    text += ".Sh DESCRIPTION\n" + sentence(top.what)
    if parts != [top]:
        text += tagged(top.others, lambda name: "Cm " + name)
    if parts[0].others:
        text += tagged(parts[0].others, arguments)
    for paragraph in filter(None, re.split(r"\n{2,}", top.text.strip())):
        text += ".Pp\n" + prose(paragraph)
    more = here / f"{verb}.mdoc"
    if more.is_file():
        text += ".Pp\n" + more.read_text()
    text += ".Sh OPTIONS\n"
    lists = [tagged(part.options, option) for part in parts]
    for part, each in zip(parts, lists) if len(set(lists)) > 1 else [(top, lists[0])]:
        text += (f".Ss tidewait {' '.join(part.verbs)}\n" if part is not top else "") + each
    text += ".Sh EXAMPLES\n.Bd -literal\n" + roff(re.sub(r"^  ", "", top.examples, flags=re.M)) + ".Ed\n"
    return text + ".Sh SEE ALSO\n.Xr tidewait 1 ,\nwhich has the exit codes and the environment variables\n"


overview = (folder / "tidewait.1").read_text()
before, after = re.fullmatch(r"(.*\n\.Sh SUBCOMMANDS\n).*?(\n\.Sh .*)", overview, re.S).groups()
date = re.search(r"^\.Dd (.*)$", overview, re.M)[1]
verbs = Help().others
for verb, _ in verbs:
    (folder / f"tidewait-{verb}.1").write_text(page(verb, date))
listed = tagged(verbs, lambda verb: f"Xr tidewait-{verb} 1")
(folder / "tidewait.1").write_text(before + listed.rstrip("\n") + after)
