# SPDX-License-Identifier: BSL-1.0
"""A picture of a terminal from the text in it, with its ANSI colours, as SVG."""
import html
import re

FONT, ADVANCE, LINE, MARGIN, TOP = 13, 7.83, 18, 16, 44
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341", "1": "#f0f6fc"}
ESCAPE = re.compile(r"\x1b\[([0-9;]*)m|\x1b\[K")


def spans(line):
    """(colour or None, text) of a line."""
    colour, begin, found = None, 0, []
    for escape in ESCAPE.finditer(line):
        found.append((colour, line[begin:escape.start()]))
        begin = escape.end()
        if escape[1] is not None:
            codes = [str(int(code)) for code in escape[1].split(";") if code] or ["0"]
            colour = next((COLOURS[code] for code in codes if code in COLOURS), None)
    found.append((colour, line[begin:]))
    return [(colour, text) for colour, text in found if text]


def picture(text):
    lines = text.rstrip("\n").split("\n")
    columns = max(len(ESCAPE.sub("", line)) for line in lines)
    width, height = round(2 * MARGIN + columns * ADVANCE), TOP + len(lines) * LINE + MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'
        f'DejaVu Sans Mono,monospace" font-size="{FONT}">',
        f'<rect width="{width}" height="{height}" rx="8" fill="#161b22"/>',
    ]
    for i, dot in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        out.append(f'<circle cx="{20 + 18 * i}" cy="20" r="5.5" fill="{dot}"/>')
    for i, line in enumerate(lines):
        bold = ' font-weight="bold"' if line.startswith("$ ") else ""
        parts = "".join(
            f'<tspan fill="{colour}">{html.escape(part, False)}</tspan>' if colour
            else html.escape(part, False) for colour, part in spans(line))
        out.append(f'<text x="{MARGIN}" y="{TOP + i * LINE + 6}" fill="#c9d1d9" '
                   f'xml:space="preserve"{bold}>{parts}</text>')
    return "\n".join(out) + "\n</svg>\n"


def text_of(svg):
    """The text in a picture, without its colours."""
    lines = re.findall(r"<text [^>]*>(.*?)</text>", svg)
    return "".join(html.unescape(re.sub(r"<[^>]*>", "", line)) + "\n" for line in lines)
