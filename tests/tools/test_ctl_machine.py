# SPDX-License-Identifier: MIT
"""tools/socle-ctl against Socle itself, on Bochs' serial line."""
import json
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path
from types import SimpleNamespace

from soclelib import iso, machine

ROOT = Path.cwd()
START_SECONDS = 60


class Line(threading.Thread):
    """Carries bytes between the machine and whoever connects to a socket, one after another."""

    def __init__(self, serial, path):
        super().__init__(daemon=True)
        self.serial, self.log, self.ends = serial, b"", False
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)

    def run(self):
        client = None
        while not self.ends:
            watched = [self.serial, client or self.listener]
            ready = select.select(watched, [], [], 0.1)[0]
            if self.listener in ready:
                client = self.listener.accept()[0]
            if self.serial in ready:
                data = self.serial.recv(1 << 16)
                if not data:
                    return
                self.log += data
                if client and not self._pass(client.sendall, data):
                    client = None
            if client in ready:
                data = self._pass(client.recv, 4096)
                if data:
                    self.serial.sendall(data)
                else:
                    client.close()
                    client = None

    @staticmethod
    def _pass(call, argument):
        """What `call` returns, True for nothing; False when the client has gone."""
        try:
            done = call(argument)
            return True if done is None else done
        except OSError:
            return False

    def wait_for(self, text):
        end = time.monotonic() + START_SECONDS
        while text not in self.log:
            if time.monotonic() > end:
                raise AssertionError(f"no {text!r} in {self.log!r}")
            time.sleep(0.1)


@unittest.skipUnless(shutil.which("bochs"), "bochs is not there")
class Governed(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="socle-ctl-"))
        image = iso.Image("build/socle.elf", "at-end=wait", timeout=0)
        lines = [f"module2 {iso.grub_word(image.place(ROOT / 'build/guests' / file))} {words}"
                 for file, words in (("spin.elf", "kernel spin memory=16M"),
                                     ("prompt.elf", "kernel ask memory=16M"))]
        image.add_raw("ctl", "", lines)
        image.write(self.folder / "test.iso")
        self.box = machine.Bochs(SimpleNamespace(
            iso=self.folder / "test.iso", memory=256, cpus=1, cpu=None, boot_as="cd",
            interactive=False))
        self.box.start()
        self.box.serial.setblocking(True)
        self.line = Line(self.box.serial, str(self.folder / "line"))
        self.line.start()
        self.line.wait_for(b"[ask] say:")

    def tearDown(self):
        self.line.ends = True
        self.line.join(5)
        self.box.stop()
        shutil.rmtree(self.folder)

    def ctl(self, *words, status=0):
        done = subprocess.run(
            ["tools/socle-ctl", "--on", f"unix:{self.folder}/line", *words], timeout=120,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def test_scripts(self):
        vms = [json.loads(each) for each in self.ctl("--json", "vms").splitlines()]
        self.assertEqual([(vm["vm"], vm["state"]) for vm in vms],
                         [("spin", "running"), ("ask", "running")])
        self.assertIn("rbx", self.ctl("regs", "spin"))
        self.assertIn("0 findings", self.ctl("audit"))
        self.ctl("stop", "nobody", status=1)
        self.ctl("stop", "spin")
        # The verdict is not PASS.
        self.assertIn("STOPPED", self.ctl("wait", "spin", status=1))
        self.ctl("stop", "ask")
        self.ctl("wait", "ask", status=1)
        self.ctl("start", "spin")
        vms = [json.loads(each) for each in self.ctl("--json", "vms").splitlines()]
        self.assertEqual([vm["state"] for vm in vms], ["running", "stopped"])
