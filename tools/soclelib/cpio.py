# SPDX-License-Identifier: MIT
"""Writes cpio archives for the Linux kernel: the same bytes for the same input.

They are not compressed: GRUB reads a byte faster than a guest unpacks one. They are written here
since device nodes would want root with any other tool.
"""

DIRECTORY, FILE, NODE = 0o040755, 0o100755, 0o020600


class Archive:
    """The 'newc' format: a header of 13 hexadecimal fields, the name, the data, each padded to 4."""

    def __init__(self):
        self.data = bytearray()
        self.inode = 0

    def add(self, name, mode, content=b"", device=(0, 0)):
        self.inode += 1
        fields = (self.inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0)
        self.data += b"070701" + b"".join(b"%08X" % field for field in fields)
        self.data += name.encode() + b"\0"
        self._pad()
        self.data += content
        self._pad()

    def _pad(self):
        self.data += bytes(-len(self.data) % 4)

    def end(self):
        self.inode = -1
        self.add("TRAILER!!!", 0)
        return bytes(self.data)
