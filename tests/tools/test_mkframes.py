# SPDX-License-Identifier: MIT
"""tools/mkframes."""
import importlib.machinery
import importlib.util
import unittest
from pathlib import Path

PATH = Path(__file__).resolve().parents[2] / "tools/mkframes"
LOADER = importlib.machinery.SourceFileLoader("mkframes", str(PATH))
mkframes = importlib.util.module_from_spec(importlib.util.spec_from_loader("mkframes", LOADER))
LOADER.exec_module(mkframes)

# As readelf prints it: two functions side by side, a hole, one that keeps a frame pointer.
TEXT = """
00000000 0000000000000014 ffffffff CIE "" cf=1 df=-8 ra=16
   LOC           CFA      ra
0000000000000000 rsp+8    c-8

00000018 0000000000000014 00000000 FDE cie=00000000 pc=0000000000100000..0000000000100010

00000030 000000000000001c 00000000 FDE cie=00000000 pc=0000000000100010..0000000000100040
   LOC           CFA      rbx   ra
0000000000100010 rsp+8    u     c-8
0000000000100011 rsp+4112 c-16  c-8

00000048 000000000000001c 00000000 FDE cie=00000000 pc=0000000000100080..00000000001000a0
   LOC           CFA      rbx   rbp   ra
0000000000100080 rsp+8    u     u     c-8
0000000000100081 rsp+16   u     c-16  c-8
0000000000100084 rbp+16   c-24  c-16  c-8
0000000000100090 exp      c-24  c-16  c-8
"""


class Frames(unittest.TestCase):
    def test_lines(self):
        self.assertEqual("".join(mkframes.lines(mkframes.rows(TEXT))).splitlines(), [
            "00100000=s00080",
            "00100011=s10100",
            "00100040=s00000",
            "00100080=s00080",
            "00100081=s00102",
            "00100084=b00102",
            "00100090=s00000"])

    def test_each_line_has_16_bytes(self):
        for line in mkframes.lines(mkframes.rows(TEXT)):
            self.assertEqual(len(line), 16)

    def test_nothing(self):
        self.assertEqual(mkframes.rows("no frames here"), [])


if __name__ == "__main__":
    unittest.main()
