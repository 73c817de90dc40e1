# SPDX-License-Identifier: MIT
"""tools/socle-ctl, against a machine that this file makes up."""
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path("tools").resolve()))
from soclelib import ctl  # noqa: E402

CTL = Path("tools/socle-ctl").resolve()
VMS = [{"vm": "alpha", "state": "running", "verdict": None},
       {"vm": "beta", "state": "ended", "verdict": "FAIL"},
       {"vm": "gamma", "state": "ended", "verdict": "PASS"}]


class Machine:
    """A console with views; what it says and does is what vm/mux.c and vm/monitor.c do."""

    def __init__(self, view="all", hangs_up_after=None, noise=b"", silent=False):
        self.folder = tempfile.TemporaryDirectory()
        self.path = f"{self.folder.name}/line"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.view = self.before = view
        self.line, self.escaped = b"", False
        self.noise, self.silent, self.hangs_up_after = noise, silent, hangs_up_after
        self.commands = []
        self.answers = 0
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self):
        self.thread.join(10)
        self.listener.close()
        self.folder.cleanup()

    def _serve(self):
        self.link = self.listener.accept()[0]
        self.link.sendall(b"[alpha] {\"done\":\"vms\",\"ok\":true}\r\n[alpha] half a li")
        try:
            while data := self.link.recv(4096):
                for byte in data:
                    if not self.silent:
                        self._key(bytes([byte]))
        except OSError:
            pass
        self.link.close()

    def _say(self, data):
        self.link.sendall(data)

    def _key(self, key):
        if self.escaped:
            self.escaped = False
            if key == b"m" and self.view != "monitor":
                self.before, self.view, self.line = self.view, "monitor", b""
                self._say(b"\r\nsocle: console: the monitor; Ctrl-D leaves it\r\nsocle> ")
        elif key == b"\x01":
            self.escaped = True
        elif self.view == "monitor":
            self._monitor_key(key)

    def _monitor_key(self, key):
        if key == b"\x03":
            self.line = b""
            self._say(b"^C\r\nsocle> ")
        elif key == b"\x04":
            if not self.line:
                self.view = self.before
                self._say(b"\r\nsocle: console: all VMs; Ctrl-A ? helps\r\n")
        elif key == b"\r":
            self._say(b"\r\n")
            line, self.line = self.line, b""
            self._command(line.decode())
        else:
            self.line += key
            self._say(key)

    def _command(self, line):
        words = [word for word in line.split() if word != "--json"]
        self.commands.append(line)
        self.answers += 1
        if self.hangs_up_after and self.answers > self.hangs_up_after:
            self._say(b"\r\x1b[Ksocle: verdict alpha PASS 0 written\r\nsocle: 1 passed, 0 failed\r\n")
            self.link.shutdown(socket.SHUT_RDWR)
            return
        self._say(self.noise)
        for each in self._answer(words):
            self._say(json.dumps(each).encode() + b"\r\n" + self.noise)
        if self.view == "monitor":
            self._say(b"socle> ")

    def _answer(self, words):
        name = words[1] if len(words) > 1 else None
        found = [vm for vm in VMS if name in (None, vm["vm"])]
        if words[0] not in ("vm", "vms", "console", "stop"):
            yield {"done": words[0], "ok": False, "error": f"'{words[0]}' is no command"}
        elif not found:
            yield {"done": words[0], "ok": False, "error": f"no VM is named '{name}'"}
        else:
            if words[0] in ("vm", "vms"):
                yield from found
            if words[0] == "console":
                self.view = name
            yield {"done": words[0], "ok": True}


class Runs(unittest.TestCase):
    def run_ctl(self, *args, **options):
        machine = Machine(**options)
        done = subprocess.run([CTL, "--on", f"unix:{machine.path}", *args], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
        if done.returncode == 2 and not machine.commands and not machine.silent:
            socket.socket(socket.AF_UNIX).connect(machine.path)
        machine.close()
        return machine, done

    def test_table(self):
        machine, done = self.run_ctl("vms")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines(), ["VM     STATE    VERDICT",
                                                    "alpha  running  -",
                                                    "beta   ended    FAIL",
                                                    "gamma  ended    PASS"])
        self.assertEqual(machine.commands, ["vms --json"])
        self.assertEqual(machine.view, "all")

    def test_json(self):
        _, done = self.run_ctl("vms", "--json")
        self.assertEqual([json.loads(line) for line in done.stdout.splitlines()], VMS)

    def test_refused(self):
        _, done = self.run_ctl("stop", "delta")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("no VM is named 'delta'", done.stderr)

    def test_monitor_stays_where_it_was(self):
        machine, done = self.run_ctl("vms", view="monitor")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(machine.view, "monitor")

    def test_noise_between_lines(self):
        noise = b"socle: VM alpha: something\r\n\r\x1b[K{\"broken\": \r\nsocle: {\"done\":\"vms\"}\r\n"
        _, done = self.run_ctl("vms", "--json", noise=noise)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([json.loads(line) for line in done.stdout.splitlines()], VMS)

    def test_console(self):
        machine, done = self.run_ctl("console", "beta")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(machine.view, "beta")
        machine, done = self.run_ctl("console", "nobody")
        self.assertEqual((done.returncode, machine.view), (1, "all"))

    def test_wait(self):
        self.assertEqual(self.run_ctl("wait", "gamma")[1].returncode, 0)
        done = self.run_ctl("wait", "beta")[1]
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAIL", done.stdout)
        done = self.run_ctl("wait", "alpha", "--timeout", "0.7")[1]
        self.assertEqual(done.returncode, 1)
        self.assertIn("VM alpha is running after 0.7 s", done.stderr)
        self.assertEqual(self.run_ctl("wait", "delta")[1].returncode, 1)

    def test_wait_when_the_machine_ends(self):
        machine, done = self.run_ctl("wait", "alpha", hangs_up_after=2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(machine.commands), 3)

    def test_nobody_there(self):
        done = subprocess.run([CTL, "--on", "unix:/nowhere/line", "vms"], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("/nowhere/line", done.stderr)

    def test_silence(self):
        _, done = self.run_ctl("vms", silent=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("no prompt", done.stderr)

    def test_wrong_command_lines(self):
        for args in ([], ["--on", "nonsense", "vms"], ["--on", "tcp:host", "vms"],
                     ["--on", "unix:x", "vm", "a b"], ["--on", "unix:x", "vm", "a\x03"],
                     ["--on", "unix:x", "wait"], ["--on", "unix:x", "vms", "--timeout", "0"]):
            environment = {**os.environ, "SOCLE_ON": ""}
            done = subprocess.run([CTL, *args], capture_output=True, text=True, env=environment,
                                  check=False)
            self.assertEqual(done.returncode, 2, args)


class Tables(unittest.TestCase):
    def test_changing_keys(self):
        lines = list(ctl.table([{"a": 1, "b": [0, 2]}, {"a": 10, "b": []}, {"c": True}]))
        self.assertEqual(lines, ["A   B", "1   0,2", "10  -", "", "C", "yes"])

    def test_one_alone(self):
        lines = list(ctl.table([{"a": 1, "bb": None, "c": "x\x1b", "d": False}]))
        self.assertEqual(lines, ["a   1", "bb  -", "c   x?", "d   no"])

    def test_seen(self):
        self.assertEqual(ctl._seen(b"socle> ab\r\x1b[Ksocle: x\r"), b"socle: x")


if __name__ == "__main__":
    unittest.main()
