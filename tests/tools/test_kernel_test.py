# SPDX-License-Identifier: MIT
"""tools/kernel-test: one kernel, its verdict as exit status."""
import json
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ET
from pathlib import Path

KERNEL_TEST = Path("tools/kernel-test").resolve()
GUESTS = Path("build/guests").resolve()


def kernel_test(*words):
    return subprocess.run([str(word) for word in (KERNEL_TEST, *words)], capture_output=True,
                          text=True, check=False)


class KernelTest(unittest.TestCase):
    def ends(self, status, last, *words):
        done = kernel_test("--on", "bochs", *words)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertRegex(done.stdout.splitlines()[-1], last)
        return done.stdout

    def refused(self, why, *words):
        done = kernel_test(*words)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn(why, done.stderr)

    def test_pass(self):
        with tempfile.TemporaryDirectory() as folder:
            xml, data = Path(folder) / "r.xml", Path(folder) / "r.json"
            out = self.ends(0, "^kernel-test: hello PASS 0 written", GUESTS / "hello.elf", "--report",
                            xml, "one", "--report", data, "two", "--memory", "16M")
            self.assertRegex(out, r"# command line: \S*hello.elf one two|# command line: one two")
            case = ET.parse(xml).getroot().find("testcase")
            self.assertEqual(case.get("name"), "hello")
            self.assertIn("ok 1 - hello\n", case.find("system-out").text)
            vm = json.loads(data.read_text())["vms"][0]
            self.assertEqual(vm["console"], case.find("system-out").text)
            self.assertGreater(vm["exits"]["I/O instruction"], 10)
            self.assertGreater(vm["ticks"], 1000)

    def test_expect(self):
        self.ends(0, "PASS its console shows", GUESTS / "spin.elf", "--expect", "^spinning with")
        self.ends(1, "FAIL 0 written .*never 'good bye", GUESTS / "hello.elf", "--expect", "good bye")

    def test_other_ends(self):
        self.ends(7, "^kernel-test: triple CRASH triple fault", GUESTS / "triple.elf")
        self.ends(8, "HANG still runs after its limit of 2 s, and never 'x.y'",
                  GUESTS / "spin.elf", "--timeout", "2", "--expect", "x.y")
        self.ends(9, "STOPPED the guest asked for a reset", GUESTS / "ends.elf", "port92")
        self.ends(0, "PASS 7 written", GUESTS / "ends.elf", "exit", "--set", "pass-code=7")
        self.ends(1, "FAIL", KERNEL_TEST)

    def test_time_of_ours(self):
        done = kernel_test("--on", "bochs", GUESTS / "spin.elf", "--wall", "4")
        self.assertEqual(done.returncode, 3, done.stderr)

    def test_refused(self):
        hello = GUESTS / "hello.elf"
        self.refused("no such file", "/nowhere/kernel")
        self.refused("'(' without ')'", hello, "--expect", "a(b")
        self.refused("memory", hello, "--memory", "much")
        self.refused("want one of them", hello, "x", "--cmdline", "y")
        self.refused("KEY=VALUE", hello, "--set", "console")
        self.refused("unknown key", hello, "--set", "colour=red")
        self.refused("no such file", hello, "--socle", "/nowhere/socle.elf")


if __name__ == "__main__":
    unittest.main()
