# SPDX-License-Identifier: MIT
"""QEMU's monitor, by its machine protocol (QMP), over a socket that QEMU may come to late."""
import json
import select
import time


class MachineError(Exception):
    """One line for the user: what went wrong with a machine that ran."""


class Monitor:
    """`events` are the names of those that came; they are seen by poll() and by each command."""

    def __init__(self, connection, seconds):
        connection.setblocking(False)
        self.connection, self.seconds = connection, seconds
        self.buffer, self.ready, self.events = b"", False, set()

    def close(self):
        self.connection.close()

    def poll(self):
        """Takes what has come, without waiting for more."""
        try:
            while self._take(time.monotonic()) is not None:
                pass
        except (MachineError, OSError):
            pass  # Without QEMU there are no events.

    def command(self, name, **arguments):
        """The answer to one command."""
        end = time.monotonic() + self.seconds
        try:
            while not self.ready:
                if self._take(end) is None:
                    raise MachineError(f"QEMU: {name}: its monitor says nothing in {self.seconds} s")
            self._send({"execute": name, "arguments": arguments, "id": name})
            while (reply := self._take(end)) is not None:
                if reply.get("id") == name:
                    break
        except OSError as error:
            raise MachineError(f"QEMU: {name}: {error.strerror}") from None
        if reply is None:
            raise MachineError(f"QEMU: {name}: no answer in {self.seconds} s")
        if "error" in reply:
            raise MachineError(f"QEMU: {name}: {reply['error']['desc']}")
        return reply["return"]

    def _send(self, message):
        data = json.dumps(message).encode() + b"\n"
        while data:
            select.select([], [self.connection], [], self.seconds)
            data = data[self.connection.send(data):]

    def _take(self, end):
        """The next message; None if there is none up to the time `end`."""
        while b"\n" not in self.buffer:
            if not select.select([self.connection], [], [], max(0, end - time.monotonic()))[0]:
                return None
            data = self.connection.recv(1 << 16)
            if not data:
                raise MachineError("QEMU is gone")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        try:
            message = json.loads(line)
        except ValueError:
            return {}  # A serial line may begin with noise.
        if "QMP" in message:
            self._send({"execute": "qmp_capabilities", "id": "begin"})
        self.ready |= message.get("id") == "begin"
        if "event" in message:
            self.events.add(message["event"])
        return message
