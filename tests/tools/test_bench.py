# SPDX-License-Identifier: MIT
"""tools/bench: lines of the guest, the file of figures, what is worse, and the tables."""
import sys
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path("tools").resolve()))
from soclelib import boots, figures, ini, plot  # noqa: E402

LOG = ("bench: on Socle\r\nok 1 - cpuid\r\n"
       "bench cpuid 141 mean 143 min 141 max 2549 rounds 1000 checked\r\n"
       "bench vmcall skipped: nobody is there to answer\r\n"
       "bench cr3-reload -1 mean -8 min -9080 max 1 rounds 1000 checked\r\n"
       "not ok 4 - in-pic\r\nbench made-up 7\r\n1..4\r\n")


class Lines(unittest.TestCase):
    def test_figures_skips_and_wrong_answers(self):
        result = figures.Result(LOG)
        self.assertEqual(result.figures, {"cpuid": 141, "cr3-reload": -1})
        self.assertEqual(result.skipped, {"vmcall": "nobody is there to answer"})
        self.assertEqual(result.wrong, ["in-pic"])
        self.assertTrue(result.ended)

    def test_a_log_that_stops_has_not_ended(self):
        self.assertFalse(figures.Result(LOG.partition("1..")[0]).ended)


class Files(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "figures.ini"

    def tearDown(self):
        self.folder.cleanup()

    def test_what_was_written_is_read(self):
        known = {"wanted": {"cpuid": 70}, "socle": {"cpuid": 141, "cr3-reload": -1}}
        figures.write(known, self.path)
        self.assertEqual(figures.read(self.path), known)

    def test_no_file_has_no_figures(self):
        self.assertEqual(figures.read(self.path), {})

    def test_a_word_is_no_figure(self):
        self.path.write_text("[socle]\ncpuid = fast\n")
        with self.assertRaisesRegex(ini.Bad, r"figures.ini:2: \[socle\] cpuid: 'fast' is no number"):
            figures.read(self.path)

    def test_the_tree_has_all_of_what_is_wanted(self):
        known = figures.read()
        self.assertLessEqual(set(known["wanted"]), set(known["socle"]))
        self.assertLessEqual(set(known["boot-wanted"]), set(known["boot-socle"]))


class Gate(unittest.TestCase):
    def outcome(self, was, now):
        worse, better, other = figures.compare({"case": was}, {"case": now})
        self.assertEqual(other, [])
        return "worse" if worse else "better" if better else "same"

    def test_two_ticks_are_allowed(self):
        self.assertEqual(self.outcome(70, 72), "same")
        self.assertEqual(self.outcome(70, 73), "worse")
        self.assertEqual(self.outcome(1, 4), "worse")

    def test_two_percent_are_allowed(self):
        self.assertEqual(self.outcome(1000, 1020), "same")
        self.assertEqual(self.outcome(1000, 1021), "worse")

    def test_better_is_told(self):
        self.assertEqual(self.outcome(1000, 980), "same")
        self.assertEqual(self.outcome(1000, 979), "better")

    def test_cases_that_come_and_go_are_told(self):
        worse, better, other = figures.compare({"old": 1}, {"new": 2})
        self.assertEqual((worse, better), ([], []))
        self.assertEqual([line.split(":")[0] for line in other], ["old", "new"])

    def test_what_is_not_reached(self):
        self.assertEqual(figures.missed({"a": 70, "b": 70, "c": 1}, {"a": 70, "b": 1141}),
                         ["b: 1,141, wanted 70"])


class Tables(unittest.TestCase):
    KNOWN = {"socle": {"a": 100, "c": 2}, "kvm": {"a": 1150, "b": 7, "c": 5000}, "bare": {"a": 1},
             "wanted": {"a": 70}, "xen": {"a": 808}}

    def test_order_is_the_guest_s(self):
        self.assertEqual(figures.order(self.KNOWN), ["a", "b", "c"])

    def test_ratios(self):
        self.assertEqual(figures.rows(self.KNOWN, ["a", "b", "c"]), [
            ["a", "1", "100", "70", "1,150", "11.5", "808", "8.1"],
            ["b", "", "", "", "7", "", "", ""],
            ["c", "", "2", "", "5,000", "2,500", "", ""]])

    def test_markdown_between_markers(self):
        text = "x\n<!-- t: made by tools/bench -->\nold\n<!-- end of t -->\ny\n"
        new = figures.put_between(text, "t", figures.markdown(figures.bench_table(self.KNOWN)))
        self.assertTrue(new.startswith("x\n<!-- t: made by tools/bench -->\n| case | bare |"))
        self.assertTrue(new.endswith("|\n<!-- end of t -->\ny\n"))
        self.assertNotIn("old", new)
        with self.assertRaisesRegex(ValueError, "no place for u"):
            figures.put_between(text, "u", "")


class Boots(unittest.TestCase):
    KNOWN = {"boot-bare": {"kernel-to-init": 5000}, "boot-wanted": {"kernel-to-init": 4000},
             "boot-socle": {"power-on-to-kernel": 10, "kernel-to-init": 5001},
             "boot-exits-socle": {"HLT": 2, "CPUID": 1143}, "boot-ticks-socle": {"CPUID": 102},
             "boot-exits-kvm": {"exits": 27791}}

    def test_tables(self):
        self.assertEqual(figures.boot_table(self.KNOWN)[1:],
                         [["power-on-to-kernel", "", "10", "", ""],
                          ["kernel-to-init", "5,000", "5,001", "4,000", ""]])
        self.assertEqual(figures.exits_table(self.KNOWN)[1:],
                         [["CPUID", "1,143", "102"], ["HLT", "2", ""], ["all", "1,145", ""]])
        self.assertEqual(figures.counters_table(self.KNOWN)[1:], [["exits", "27,791"]])
        self.assertEqual(figures.plain([("a", "n"), ["long", "7"]]), "a     n\nlong  7")

    def test_answers_of_the_monitor(self):
        log = 'socle> stats bench --json\r\r\n{"exit":"HLT","count":2}\r\nsocle: x\r\n\r\x1b[K{"done":1}\r\n{'
        self.assertEqual(boots.objects(log), [{"exit": "HLT", "count": 2}, {"done": 1}])

    def test_ticks_of_init_are_whole(self):
        # The line comes byte by byte.
        self.assertIsNone(boots.INIT.search("guest: /init runs at tick 14"))
        self.assertEqual(boots.INIT.search("guest: /init runs at tick 1451\r\n")[1], "1451")

    def test_the_breakpoint_comes_second(self):
        self.assertEqual(boots.BREAK.findall("Next at t=0\n(0) [0x0]\nNext at t=510124861\n"),
                         ["0", "510124861"])


class Plots(unittest.TestCase):
    SVG = "{http://www.w3.org/2000/svg}"

    def rects(self, text):
        """Of a well-formed picture: (width, height, colour) of each rectangle but the paper."""
        return [(float(each.get("width")), float(each.get("height")), each.get("fill"))
                for each in ElementTree.fromstring(text).iter(f"{self.SVG}rect")][1:]

    def test_bars_are_logarithmic(self):
        text = plot.bars([("a<b", [10, 1000], 100), ("c", [None, 1], None)], ("x", "y"), "z")
        widths = [width for width, height, _ in self.rects(text) if height == plot.BAR]
        self.assertAlmostEqual(widths[1], 3 * widths[0], delta=1)
        self.assertEqual(len(widths), 3)
        self.assertIn("a&lt;b", text)

    def test_columns_are_what_came_between(self):
        # Nothing in the first half, then all at an even pace.
        samples = [(500, {"a": 0}), (1000, {"a": 100, "b": 300})]
        text = plot.columns(samples, (1000, "k ticks"), "exits")
        columns = [each for each in self.rects(text) if each[0] > 5 and each[1] > 10]
        self.assertEqual(len(columns), 2 * plot.COLUMNS // 2)
        tallest = {colour: height for _, height, colour in columns}
        self.assertAlmostEqual(tallest[plot.COLOURS[0]], 3 * tallest[plot.COLOURS[1]], delta=1)


if __name__ == "__main__":
    unittest.main()
