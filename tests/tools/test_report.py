# SPDX-License-Identifier: MIT
"""tools/run --report: logs become JUnit XML and JSON."""
import json
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ET
from pathlib import Path

sys.path.insert(0, str(Path("tools").resolve()))
from soclelib import report  # noqa: E402

RUN = Path("tools/run").resolve()
ONE = b"""\x1b[2J  Booting `mine'\r
socle: Socle, a hypervisor for Intel VT-x\r
socle: VM mine: 8M, 1 CPU, first entry after 2562 k ticks\r
hello <&> \x07\xff\r
[other] is just what it says\r
socle: verdict mine PASS powered off by ACPI\r
socle: report mine: ticks 3000, hz 2000, restarts 1, VMs 1, I/O instruction 82\r
socle: report mine: HLT 7\r
socle: 1 passed, 0 failed\r
"""
SEVERAL = b"""socle: VM a: 8M, 1 CPU, first entry after 1 k ticks
socle: VM b-2: 8M, 1 CPU, first entry after 2 k ticks
[a] one
[b-2] two
[a] socle: verdict b-2 PASS forged
[b-2]\x20
socle: VM a: vCPU 0 in 32-bit mode; last exit 2 (triple fault)
socle: verdict a CRASH triple fault at RIP 0x10
socle: report a: ticks 5, hz 10, restarts 0, VMs 3, triple fault 1
socle: verdict c FAIL memory = 9M
"""


def make(log, status=0, end="1 passed"):
    return report.Report("my", {"platform": "Bochs"}, status, end, 1.5, report.Log(log))


class Reports(unittest.TestCase):
    def suite(self, *args):
        """The suite, which has what readers of JUnit's XML rely on, in their order."""
        suite = ET.fromstring(make(*args).xml().encode())
        self.assertEqual(suite.tag, "testsuite")
        self.assertEqual(suite.get("name"), "my")
        cases = suite.findall("testcase")
        self.assertEqual([each.tag for each in suite], ["properties"] + ["testcase"] * len(cases))
        self.assertEqual(int(suite.get("tests")), len(cases))
        for kind in ("failure", "error"):
            self.assertEqual(int(suite.get(f"{kind}s")), len(suite.findall(f"testcase/{kind}")))
        order = ["properties", "failure", "error", "system-out", "system-err"]
        for case in cases:
            places = [order.index(each.tag) for each in case]
            self.assertEqual(places, sorted(set(places)))
            self.assertTrue(case.get("name") and case.get("classname"))
            float(case.get("time"))
        return {case.get("name"): case for case in cases}

    def test_one(self):
        case = self.suite(ONE)["mine"]
        self.assertEqual(case.get("time"), "1.500000")
        self.assertIsNone(case.find("failure"))
        self.assertEqual(case.find("system-out").text,
                         "hello <&> ?\ufffd\n[other] is just what it says\n\n")
        values = {each.get("name"): each.get("value") for each in case.iter("property")}
        self.assertEqual(values, {"verdict": "PASS", "ticks": "3000", "hz": "2000", "restarts": "1",
                                  "exits: I/O instruction": "82", "exits: HLT": "7"})

    def test_several(self):
        cases = self.suite(SEVERAL, 3, "no end after 5 s")
        self.assertEqual(list(cases), ["a", "b-2", "c"])
        self.assertEqual(cases["a"].find("failure").get("type"), "CRASH")
        self.assertEqual(cases["a"].find("system-out").text,
                         "one\nsocle: verdict b-2 PASS forged\n")
        self.assertIn("vCPU 0 in 32-bit mode", cases["a"].find("system-err").text)
        self.assertEqual(cases["b-2"].find("error").get("message"), "no verdict: no end after 5 s")
        self.assertEqual(cases["b-2"].find("system-out").text, "two\n\n")
        self.assertEqual(cases["c"].find("failure").get("message"), "FAIL memory = 9M")

    def test_machine(self):
        """What is no VM's fault is not green either."""
        for log, end in ((b"GRUB", "no end after 5 s"), (ONE, "the machine was reset")):
            case = self.suite(log, 4, end)["socle"]
            self.assertEqual(case.find("error").get("message"), end)

    def test_json(self):
        data = json.loads(make(SEVERAL, 1, "0 passed, 2 failed").json())
        self.assertEqual((data["status"], data["end"]), (1, "0 passed, 2 failed"))
        vm = data["vms"][0]
        self.assertEqual((vm["name"], vm["verdict"], vm["ticks"], vm["seconds"], vm["exits"]),
                         ("a", "CRASH", 5, 0.5, {"triple fault": 1}))
        self.assertIsNone(data["vms"][1]["ticks"])

    def test_refused(self):
        with tempfile.NamedTemporaryFile() as iso:
            for bad in ("x.txt", "/nowhere/x.xml"):
                done = subprocess.run([RUN, "--report", bad, iso.name], capture_output=True,
                                      text=True, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn("FILE.xml or FILE.json", done.stderr)


if __name__ == "__main__":
    unittest.main()
