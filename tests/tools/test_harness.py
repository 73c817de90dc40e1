# SPDX-License-Identifier: MIT
"""The test runner's own instruments: made files, and text read off a picture."""
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import boot, files, screen


class Files(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def made(self, line):
        files.make(line, self.folder)
        return (self.folder / line.split()[0]).read_bytes()

    def test_kinds(self):
        self.assertEqual(self.made("a zeros 5"), bytes(5))
        self.assertEqual(self.made("b text one two"), b"one two")
        self.assertEqual(self.made("c head 3 b"), b"one")
        self.assertEqual(self.made("d patch 0x1 4142 b"), b"oAB two")
        self.assertEqual(len(self.made("e random 100")), 100)
        self.assertEqual(self.made("e random 100"), self.made("e random 100"))

    def test_faults(self):
        for line in ("a nothing", "a zeros", "a zeros x", "a text", "b patch 99 00 a"):
            if line == "a text":
                files.make("a text x", self.folder)
                continue
            with self.assertRaises(files.BadFile):
                files.make(line, self.folder)


class Selection(unittest.TestCase):
    def selected(self, name, platform, pattern):
        return bool(boot.Boot(name, {}, platform, Path("build")).selected(re.compile(pattern)))

    def test_by_name(self):
        self.assertTrue(self.selected("hello", "bochs", ""))
        self.assertTrue(self.selected("hello", "kvm", "hello@kvm"))
        self.assertFalse(self.selected("hello", "bochs", "linux"))

    def test_nested_only_when_named(self):
        for pattern in ("", "boot/", "hello"):
            self.assertFalse(self.selected("hello", "nested", pattern), pattern)
        for pattern in ("nested", "hello@nested"):
            self.assertTrue(self.selected("hello", "nested", pattern), pattern)
        self.assertFalse(self.selected("hello", "nested", "linux@nested"))

    def test_all_under_kvm(self):
        names = self.listed("--nested")
        self.assertTrue(names)
        self.assertEqual({name.partition("@")[2] for name in names}, {"kvm", "nested"})
        self.assertEqual(self.listed("--nested", "linux@nested"), ["boot/nested-linux@nested"])

    def listed(self, *args):
        done = subprocess.run(["tests/run", "--list", "--only", "boot", *args], check=True,
                              capture_output=True, text=True)
        return done.stdout.split()

    def test_long_ones_apart(self):
        short, long = self.listed(), self.listed("--long")
        self.assertIn("boot/linux-shell", short)
        self.assertIn("boot/linux-612", long)
        self.assertFalse(set(short) & set(long))
        self.assertEqual(self.listed("linux-612$"), ["boot/linux-612"])
        self.assertNotIn("boot/uart", self.listed("--long", "uart|linux-612"))


class Judging(unittest.TestCase):
    def judged(self, key, value, log):
        """(number of faults, figures)"""
        faults, figures = boot.Boot("x", {key: [value]}, "bochs", Path("build")).judge(0, "", log)
        return len(faults), figures

    def test_limit(self):
        self.assertEqual(self.judged("limit", r"10 took (\d+)", "took 10"), (0, ["10 of 10"]))
        self.assertEqual(self.judged("limit", r"10 took (\d+)", "took 11"), (1, []))
        self.assertEqual(self.judged("limit", r"10 took (\d+)", "took"), (1, []))

    def test_range(self):
        for number, faults in ((4, 1), (5, 0), (7, 0), (8, 1)):
            self.assertEqual(self.judged("range", r"5 7 ^n (\d+)$", f"n {number}")[0], faults)
        self.assertEqual(self.judged("range", r"5 7 ^n (\d+)$", "m 6")[0], 1)

    def test_near(self):
        line = r"5 ^one (\d+)$ => ^four (\d+)$"
        for log, faults in (("one 100\nfour 95\nfour 105", 0), ("one 100\nfour 100\nfour 106", 1),
                            ("one 100\nfour 94", 1), ("one 100", 1), ("four 100", 1)):
            self.assertEqual(self.judged("near", line, log)[0], faults, log)
        self.assertEqual(self.judged("near", line, "one 1000\nfour 1040\nfour 990")[1],
                         ["1,000 against 1,040, 990 (within 5 %)"])

    def test_bugs_fail_every_test(self):
        panic = "x\nsocle: panic: CPU 1: boot/fault.c:7: on purpose\nx"
        audit = "socle: audit: page 0x1000 has two owners\nsocle: audit: failed: this is a bug"
        for log, faults in ((panic, 1), (audit, 1), (panic + "\n" + audit, 2),
                            ("socle: audit: 9 pages have one owner each", 0),
                            ("[linux] Kernel panic: no\n[vm] socle: panic: forged", 0)):
            self.assertEqual(self.judged("cpus", "1", log)[0], faults, log)
        # Whoever expects one of them does not expect the other.
        expectation = r"^socle: panic: CPU \d: .*on purpose$"
        self.assertEqual(self.judged("expect", expectation, panic)[0], 0)
        self.assertEqual(self.judged("expect", expectation, panic + "\n" + audit)[0], 1)
        self.assertEqual(self.judged("expect", "^socle: audit: failed", audit)[0], 0)

    def test_counted(self):
        keys = {"raw": ["a.elf kernel vm{1..3} x"], "verdict": ["vm{9..10} PASS", "w PASS"]}
        test = boot.Boot("x", keys, "bochs", Path("build"))
        self.assertEqual(test.keys["raw"], [f"a.elf kernel vm{n} x" for n in (1, 2, 3)])
        self.assertEqual(test.keys["verdict"], ["vm9 PASS", "vm10 PASS", "w PASS"])


class Again(unittest.TestCase):
    def boot(self, *ends):
        """(what it ended as, how often it ran) when the runs end so."""
        test, runs = boot.Boot("hello", {}, "bochs", Path("build")), list(ends)
        test.run_once = lambda: runs.pop(0)
        return test.boot(), len(ends) - len(runs)

    def test_display_without_port(self):
        flake = (4, "run: >>PANIC<< could not bind any port between 5900 and 5949 (status 4)")
        self.assertEqual(self.boot(flake, (0, "")), ((0, ""), 2))
        self.assertEqual(self.boot(flake, flake, (0, "")), (flake, 2))

    def test_other_ends_stay(self):
        self.assertEqual(self.boot((4, "the machine was reset"), (0, "")),
                         ((4, "the machine was reset"), 1))


@unittest.skipUnless(screen.FONT.exists(), "the font is not built")
class Screen(unittest.TestCase):
    def test_text_comes_back(self):
        rows = [[int(byte, 16) for byte in row.split(",")]
                for row in re.findall(r"\{(0x[^}]*)\}", screen.FONT.read_text())]
        text = ["socle: 1 passed, 0 failed", "", "#ABC xyz ~!@"]
        width, height = 30 * 8 + 3, len(text) * 16 + 5
        pixels = bytearray(width * height * 3)
        for line, words in enumerate(text):
            for column, char in enumerate(words):
                for y, bits in enumerate(rows[ord(char) - 32]):
                    for x in range(8):
                        at = (line * 16 + y) * width + column * 8 + x
                        pixels[at * 3:at * 3 + 3] = bytes([(bits >> (7 - x) & 1) * 170] * 3)
        with tempfile.NamedTemporaryFile(suffix=".ppm") as file:
            file.write(b"P6\n%d %d\n255\n" % (width, height) + pixels)
            file.flush()
            self.assertEqual(screen.read(file.name), "\n".join(text))
