# SPDX-License-Identifier: MIT
"""The disc for QEMU/KVM inside Bochs: that it holds what QEMU loads."""
import os
import shutil
import subprocess
import unittest
from pathlib import Path
from unittest import mock

from soclelib import cpio, nested


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
