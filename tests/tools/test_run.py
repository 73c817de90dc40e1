# SPDX-License-Identifier: MIT
"""tools/run: what it refuses, and how it reads a verdict."""
import socket
import subprocess
import sys
import tempfile
import time
import types
import unittest
from pathlib import Path

sys.path.insert(0, str(Path("tools").resolve()))
from soclelib import console  # noqa: E402

RUN = Path("tools/run").resolve()


def run(*args):
    return subprocess.run([RUN, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          check=False)


class Refusals(unittest.TestCase):
    def refused(self, status, word, *args):
        with tempfile.NamedTemporaryFile() as iso:
            done = run(*args, iso.name)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(word, done.stderr)

    def test_no_iso(self):
        done = run("/nothing.iso")
        self.assertEqual(done.returncode, 2)
        self.assertIn("/nothing.iso: no such file", done.stderr)

    def test_bad_numbers(self):
        for option in ("--cpus", "--memory", "--timeout"):
            for bad in ("0", "-1", "x"):
                self.refused(2, option, option, bad)

    def test_uefi_in_bochs(self):
        self.refused(5, "no UEFI", "--on", "bochs", "--uefi")

    def test_too_much_memory(self):
        self.refused(5, "--memory 2048 or less", "--on", "bochs", "--memory", "2049")

    def test_send_without_expect(self):
        self.refused(2, "--expect", "--send", "x")


    def test_linger_without_until(self):
        self.refused(2, "--until", "--linger", "1")


class FakeMachine:
    """A serial line that says something and hangs up."""

    def __init__(self, text, trouble=None):
        ours, self.serial = socket.socketpair()
        self.serial.setblocking(False)
        ours.sendall(text)
        ours.close()
        self.process = subprocess.Popen(["true"])
        self.problem = trouble

    def why(self, said, _log):
        return said

    def trouble(self):
        return self.problem


class Verdicts(unittest.TestCase):
    def status(self, text, trouble=None):
        options = types.SimpleNamespace(log=None, answers=[], screenshot_at=None, timeout=20,
                                        interactive=False, quiet=True, screenshot=None, until=None)
        machine = FakeMachine(text, trouble)
        try:
            return console.Console(machine, options)._carry(console.Terminal(False))[0]
        finally:
            machine.serial.close()
            machine.process.wait()

    def test_passed(self):
        self.assertEqual(self.status(b"boot\r\nsocle: 2 passed, 0 failed\r\n"), 0)

    def test_failed(self):
        self.assertEqual(self.status(b"socle: 1 passed, 1 failed\r\n"), 1)

    def test_nothing_ran(self):
        self.assertEqual(self.status(b"socle: 0 passed, 0 failed\r\n"), 1)

    def test_no_verdict(self):
        self.assertEqual(self.status(b"socle: verdict a PASS\r\n"), 4)

    def test_not_at_line_start(self):
        self.assertEqual(self.status(b"[a] socle: 1 passed, 0 failed\r\n"), 4)

    def test_last_line_counts(self):
        self.assertEqual(self.status(b"socle: 1 passed, 0 failed\nsocle: 0 passed, 1 failed\n"), 1)

    def test_machine_error(self):
        self.assertEqual(self.status(b"socle: starts\r\n", "triple fault"), 4)


class Ends(unittest.TestCase):
    """A machine that says something and then goes on for ever."""

    def run_one(self, text=b"", **changes):
        """(status, seconds)"""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        ours.sendall(text)
        options = types.SimpleNamespace(log=None, answers=[], screenshot_at=None, timeout=20,
                                        interactive=False, quiet=True, screenshot=None, until=None,
                                        linger=0)
        vars(options).update(changes)
        process = subprocess.Popen(["sleep", "20"])
        machine = types.SimpleNamespace(serial=theirs, process=process, trouble=lambda: None,
                                        why=lambda said, _: said)
        start = time.monotonic()
        try:
            status, _ = console.Console(machine, options)._carry(console.Terminal(False))
        finally:
            process.kill()
            process.wait()
            ours.close()
            theirs.close()
        return status, time.monotonic() - start

    def test_timeout(self):
        status, seconds = self.run_one(timeout=0.5)
        self.assertEqual(status, 3)
        self.assertLess(seconds, 5)

    def test_until(self):
        status, seconds = self.run_one(b"one\r\npanic: x\r\n", until="^panic: ")
        self.assertEqual(status, 6)
        self.assertLess(seconds, 5)

    def test_until_lingers(self):
        status, seconds = self.run_one(b"panic: x\r\n", until="^panic: ", linger=1)
        self.assertEqual(status, 6)
        self.assertGreater(seconds, 0.9)

    def test_until_never_seen(self):
        self.assertEqual(self.run_one(b"panics\r\n", until="^panic: ", timeout=0.5)[0], 3)


class Answers(unittest.TestCase):
    """What is typed, piece by piece of a log."""

    def typed(self, answers, *pieces):
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        options = types.SimpleNamespace(log=None, answers=answers, screenshot_at=None, timeout=20,
                                        quiet=True, until=None)
        typist = console.Console(types.SimpleNamespace(serial=theirs), options)
        typed = []
        for piece in pieces:
            ours.sendall(piece)
            typist._receive()
            typed.append(bytes(typist.pending))
            typist.pending.clear()
        ours.close()
        theirs.close()
        return typed

    def test_in_order_across_pieces(self):
        answers = [("^one$", "1"), ("^two (a|b)\\b", "2")]
        self.assertEqual(self.typed(answers, b"on", b"e\n", b"two", b" b "), [b"", b"1", b"", b"2"])
        self.assertEqual(self.typed(answers, b"two a\n", b"one\n", b"two b\n"), [b"", b"1", b"2"])
        self.assertEqual(self.typed(answers, b"one\n" + b"x" * 9000 + b"\ntwo b\n"), [b"12"])

    def test_a_long_log_before_it(self):
        noise = [b"x" * 5000 + b"\n"] * 3
        self.assertEqual(self.typed([("^one", "1")], *noise, b"o", b"ne"), [b""] * 4 + [b"1"])
