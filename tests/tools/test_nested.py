# SPDX-License-Identifier: MIT
"""QEMU/KVM inside Bochs: the disc, QEMU's monitor and picture, and which machine it was that failed."""
import argparse
import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import unittest
import zlib
from pathlib import Path
from unittest import mock

from soclelib import cpio, machine, nested, png, qmp


class Archive(unittest.TestCase):
    def listed(self, archive):
        done = subprocess.run(["busybox", "cpio", "-t"], input=archive, capture_output=True,
                              check=True)
        return done.stdout.decode().split()

    @unittest.skipUnless(shutil.which("busybox"), "BusyBox is not there")
    def test_names(self):
        archive = cpio.Archive()
        archive.add("dir", cpio.DIRECTORY)
        for size in range(5):
            archive.add(f"dir/{size}", cpio.FILE, b"x" * size)
        self.assertEqual(self.listed(archive.end()), ["dir", *(f"dir/{n}" for n in range(5))])


class Libraries(unittest.TestCase):
    def test_loader_and_c_library(self):
        names = [Path(path).name for path in nested.libraries(shutil.which("python3") or "/bin/sh")]
        self.assertTrue(any(name.startswith("ld-linux") for name in names), names)
        self.assertIn("libc.so.6", names)


class Missing(unittest.TestCase):
    def test_no_qemu(self):
        with mock.patch.dict(os.environ, PATH="/nowhere"):
            with self.assertRaisesRegex(nested.Missing, "qemu-system-x86_64 is missing"):
                nested.require()


class Why(unittest.TestCase):
    """Each machine is named by what is the last that came from it."""

    LINUX = b"\x1b[H  Booting `nested'\r\n\r\n"
    INIT = LINUX + b"nested: Linux 6.1, KVM with nested=Y\r\n"
    QEMU = INIT + b"nested: QEMU starts\r\n"

    def said(self, log, *words):
        for word in words:
            self.assertIn(word, nested.why(log))

    def test_stages(self):
        self.said(b"", "Bochs' BIOS or the GRUB")
        self.said(self.LINUX, "Linux in Bochs had not come to its first process")
        self.said(self.INIT, "Linux in Bochs had not come to start QEMU")
        self.said(self.QEMU, "it was in KVM, QEMU, its firmware or GRUB")
        self.said(self.QEMU + b"socle: Socle, a hypervisor\r\n", "it was in Socle")

    def test_panic(self):
        panic = b"Kernel panic - not syncing: No working init found.  Try passing init= option\r\n"
        self.said(self.LINUX + panic, "Linux in Bochs: Kernel panic - not syncing: No working init")
        # A guest of Socle's may panic, too.
        self.said(self.QEMU + b"socle: begins\r\n" + panic, "it was in Socle")

    def test_module(self):
        self.said(self.LINUX + b"nested: kvm-intel.ko does not load: kvm: no hardware support\r\n",
                  "kvm-intel.ko does not load: kvm: no hardware support")

    def test_qemu(self):
        self.said(self.QEMU + b"nested: QEMU says: could not load PC BIOS\r\n"
                  b"nested: QEMU ended with status 1\r\n",
                  "QEMU says: could not load PC BIOS; QEMU ended with status 1")


    def test_no_memory(self):
        log = (self.QEMU + b"socle: begins\r\nnested: QEMU says: Killed\r\n"
               b"nested: Linux says: [    1.379657] Out of memory: Killed process 99 (qemu-system-x86) "
               b"total-vm:1472816kB, anon-rss:912996kB, file-rss:16kB, shmem-rss:22044kB, UID:0\r\n"
               b"nested: QEMU ended with status 137\r\n")
        self.said(log, "Linux in Bochs ran out of memory and killed QEMU, which had 891 MiB of it",
                  "want less --memory")


class Memory(unittest.TestCase):
    def test_disc_counts(self):
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(300 << 20)
            box = machine.Nested(argparse.Namespace(iso=Path(file.name), memory=1024))
            self.addCleanup(box.stop)
            self.assertEqual(box.memory(), 1024 + machine.LINUX_MIB + 256)


class Picture(unittest.TestCase):
    """Each filter of the format, against a picture made here."""

    WIDTH, HEIGHT = 7, 5

    def setUp(self):
        size = self.WIDTH * 3
        self.rows = [bytes((x * x * 31 + y * 77) % 256 for x in range(size))
                     for y in range(self.HEIGHT)]

    def filtered(self, kind, y):
        above = self.rows[y - 1] if y else bytes(self.WIDTH * 3)
        out = bytearray([kind])
        for x, value in enumerate(self.rows[y]):
            a, b, c = (self.rows[y][x - 3], above[x], above[x - 3]) if x > 2 else (0, above[x], 0)
            p = a + b - c
            paeth = a if abs(p - a) <= min(abs(p - b), abs(p - c)) else b if abs(p - b) <= abs(p - c) else c
            out.append(value - (0, a, b, (a + b) // 2, paeth)[kind] & 255)
        return bytes(out)

    def picture(self, form=(8, 2, 0, 0, 0)):
        def chunk(kind, body):
            return struct.pack(">I", len(body)) + kind + body + bytes(4)
        data = zlib.compress(b"".join(self.filtered(y % 5, y) for y in range(self.HEIGHT)))
        return (png.SIGNATURE + chunk(b"IHDR", struct.pack(">II5B", self.WIDTH, self.HEIGHT, *form))
                + chunk(b"IDAT", data[:9]) + chunk(b"IDAT", data[9:]) + chunk(b"IEND", b""))

    def test_filters(self):
        self.assertEqual(png.to_ppm(self.picture()), b"P6\n7 5\n255\n" + b"".join(self.rows))

    def test_not_whole(self):
        for size in (0, 5, 40, len(self.picture()) - 1):
            with self.assertRaisesRegex(png.BadPng, "not whole"):
                png.to_ppm(self.picture()[:size])

    def test_other_form(self):
        with self.assertRaisesRegex(png.BadPng, "want"):
            png.to_ppm(self.picture((16, 2, 0, 0, 0)))


class Monitor(unittest.TestCase):
    """QEMU's end of the line, played by a thread."""

    def talk(self, before, answers):
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        theirs.sendall(before)
        commands = theirs.makefile("r")

        def qemu():
            for line in commands:
                message = json.loads(line)
                for answer in answers.get(message["execute"], ()):
                    with contextlib.suppress(BrokenPipeError):
                        theirs.sendall(json.dumps({**answer, "id": message["id"]}).encode() + b"\r\n")

        thread = threading.Thread(target=qemu, daemon=True)
        thread.start()
        # The other end is closed first, which ends the thread.
        self.addCleanup(thread.join, 5)
        self.addCleanup(ours.shutdown, socket.SHUT_RDWR)
        return qmp.Monitor(ours, 0.5)

    BEGIN = {"qmp_capabilities": [{"return": {}}]}
    HELLO = b'\x00noise\r\n{"QMP": {"version": {}}}\r\n'

    def test_command(self):
        monitor = self.talk(self.HELLO, {**self.BEGIN, "quit": [{"return": 7}]})
        self.assertEqual(monitor.command("quit"), 7)

    def test_refusal(self):
        monitor = self.talk(self.HELLO, {**self.BEGIN, "dump": [{"error": {"desc": "no disk"}}]})
        with self.assertRaisesRegex(qmp.MachineError, "dump: no disk"):
            monitor.command("dump")

    def test_silence(self):
        with self.assertRaisesRegex(qmp.MachineError, "says nothing in 0.5 s"):
            self.talk(b"", {}).command("quit")
        with self.assertRaisesRegex(qmp.MachineError, "quit: no answer in 0.5 s"):
            self.talk(self.HELLO, self.BEGIN).command("quit")

    def test_events(self):
        monitor = self.talk(self.HELLO + b'{"event": "SHUTDOWN"}\n', self.BEGIN)
        monitor.poll()
        self.assertEqual(monitor.events, {"SHUTDOWN"})
