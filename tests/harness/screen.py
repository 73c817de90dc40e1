# SPDX-License-Identifier: MIT
"""Reads the text off a picture of Socle's framebuffer console: cells compared with its own font."""
import re
from pathlib import Path

FONT = Path("build/gen/font.h")
UNKNOWN = "?"


def _font():
    """({rows of a glyph: character}, width, height)."""
    text = FONT.read_text()
    size = {key: int(value, 0) for key, value in re.findall(r"#define FONT_(\w+)\s+(\w+)", text)}
    rows = re.findall(r"\{(0x[^}]*)\}", text)
    glyphs = {bytes(int(byte, 16) for byte in row.split(",") if byte.strip()): chr(size["FIRST"] + n)
              for n, row in enumerate(rows)}
    return glyphs, size["WIDTH"], size["HEIGHT"]


def _picture(path):
    """(width, height, RGB bytes) of a binary PPM file."""
    data = path.read_bytes()
    match = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", data)
    return int(match[1]), int(match[2]), data[match.end():]


def read(path):
    """The lines of text in the picture."""
    glyphs, cell_width, cell_height = _font()
    width, height, pixels = _picture(Path(path))
    # Green is as good as grey for ink that is light on black.
    lit = [pixels[at] > 64 for at in range(1, len(pixels), 3)]
    lines = []
    for top in range(0, height - cell_height + 1, cell_height):
        line = ""
        for left in range(0, width - cell_width + 1, cell_width):
            starts = range(top * width + left, (top + cell_height) * width + left, width)
            cell = bytes(sum(lit[start + x] << (7 - x) for x in range(8)) for start in starts)
            line += glyphs.get(cell, UNKNOWN)
        lines.append(line.rstrip())
    return "\n".join(lines)
