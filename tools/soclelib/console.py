# SPDX-License-Identifier: MIT
"""Carries bytes between a machine's serial port and the person or log at the other end."""
import os
import re
import select
import signal
import subprocess
import sys
import termios
import time
import tty

from soclelib.machine import MachineError

ESCAPE = 0x01  # Ctrl-A
HELP = "Ctrl-A x ends the machine; all else goes to Socle: Ctrl-A m is its monitor, Ctrl-A ? helps"
VERDICT = re.compile(rb"^socle: (\d+) passed, (\d+) failed\r*$", re.MULTILINE)
# What is typed behind this is for QEMU's own monitor.
QEMU_PROMPT = b"(qemu) "
POLL_SECONDS = 0.2
# Bochs sends byte by byte, and shares the processor with us: where nobody types, bytes may gather.
GATHER_SECONDS = 0.02
# What is waited for is at most so long: the log comes byte by byte, and is not searched whole each time.
MATCH_BYTES = 4096

PASSED, FAILED, TIMED_OUT, MACHINE_ERROR, SEEN, ENDED_BY_USER = 0, 1, 3, 4, 6, 130


class Ended(Exception):
    """A signal asked us to end."""


class Terminal:
    """The user's terminal in raw mode, or nothing where there is none."""

    def __init__(self, wanted):
        self.fd = sys.stdin.fileno() if wanted else None
        self.saved = None
        self.escaped = False

    def __enter__(self):
        if self.fd is not None:
            self.saved = termios.tcgetattr(self.fd)
            tty.setraw(self.fd)
        return self

    def __exit__(self, *_):
        try:
            if self.saved is not None:
                termios.tcsetattr(self.fd, termios.TCSADRAIN, self.saved)
        except termios.error:
            pass  # The terminal is gone.

    def read(self):
        """(bytes for the machine, whether the user ended it)."""
        send = bytearray()
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            data = b""
        if not data:
            raise Ended(signal.SIGHUP)
        for byte in data:
            if self.escaped:
                self.escaped = False
                if byte in b"xX":
                    return bytes(send), True
                send += bytes([ESCAPE]) if byte in (ESCAPE, ord("a")) else bytes([ESCAPE, byte])
            elif byte == ESCAPE:
                self.escaped = True
            else:
                send.append(byte)
        return bytes(send), False


class Console:
    """One run of one machine, from its start to a status and a reason."""

    def __init__(self, machine, options):
        self.machine = machine
        self.options = options
        self.log = bytearray()
        self.file = open(options.log, "wb") if options.log else None
        self.answers = [(re.compile(pattern.encode(), re.MULTILINE), _unescape(text))
                        for pattern, text in options.answers]
        self.searched = 0
        self.pending = bytearray()
        self.shot = re.compile(options.screenshot_at.encode()) if options.screenshot_at else None
        self.until = re.compile(options.until.encode(), re.MULTILINE) if options.until else None
        self.last = None  # when a run with --until ends
        self.deadline = time.monotonic() + options.timeout if options.timeout else None

    def run(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _on_signal)
        with Terminal(self.options.interactive) as terminal:
            try:
                return self._carry(terminal)
            except MachineError as error:
                return MACHINE_ERROR, str(error)
            except Ended as ended:
                return 128 + ended.args[0], "interrupted"
            finally:
                if self.file:
                    self.file.close()

    def _carry(self, terminal):
        serial, watched = self.machine.serial, [self.machine.serial]
        if terminal.fd is not None:
            watched.append(terminal.fd)
        polled = 0.0
        while True:
            now = time.monotonic()
            if self.deadline and now >= self.deadline:
                return TIMED_OUT, self._why(f"no end after {self.options.timeout:g} s")
            if self.last and now >= self.last:
                return SEEN, f"ended {self.options.linger:g} s after {self.options.until}"
            if now - polled > 1:
                polled, trouble = now, self.machine.trouble()
                if trouble:
                    self._drain()
                    return MACHINE_ERROR, self._why(trouble)
            ready, writable, _ = select.select(
                watched, [serial] if self.pending else [], [], POLL_SECONDS)
            if writable:
                self._send()
            if serial in ready and terminal.fd is None:
                time.sleep(GATHER_SECONDS)
            if serial in ready and not self._receive():
                return self._end()
            if terminal.fd in ready:
                data, ended = terminal.read()
                self.pending += data
                if ended:
                    return ENDED_BY_USER, "ended from the keyboard"
            if self.machine.process.poll() is not None and serial not in ready:
                return self._end()

    def _receive(self):
        try:
            data = self.machine.serial.recv(1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            return False
        start = max(0, len(self.log) - MATCH_BYTES)
        self._write(data)
        self._answer(start)
        if self.until and self.until.search(self.log, start):
            self.until = None
            self.last = time.monotonic() + self.options.linger
        if self.shot and self.shot.search(self.log, start):
            self.shot = None
            self.machine.screenshot()
        return True

    def _write(self, data):
        self.log += data
        if not self.options.quiet:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        if self.file:
            self.file.write(data)
            self.file.flush()

    def _send(self):
        try:
            del self.pending[:self.machine.serial.send(self.pending)]
        except OSError:
            self.pending.clear()

    def _answer(self, start):
        """Types the next --send text once its --expect pattern has come."""
        start = max(start, self.searched)
        while self.answers:
            match = self.answers[0][0].search(self.log, start)
            if not match:
                return
            start = self.searched = match.end()
            text = self.answers.pop(0)[1]
            if text.startswith(QEMU_PROMPT):
                self.machine.order(text[len(QEMU_PROMPT):].decode().strip())
            else:
                self.pending += text

    def _drain(self):
        while self._receive() and select.select([self.machine.serial], [], [], 0)[0]:
            pass

    def _end(self):
        """The serial line or the process is gone: the last bytes may still be in the socket."""
        self._drain()
        try:
            self.machine.process.wait(10)
        except subprocess.TimeoutExpired:
            return MACHINE_ERROR, "the machine closed its serial port and did not end"
        return self._verdict()

    def _why(self, said):
        return self.machine.why(said, self.log)

    def _verdict(self):
        trouble = self.machine.trouble()
        found = list(VERDICT.finditer(self.log))
        if not found:
            return MACHINE_ERROR, self._why(trouble or
                                            "the machine ended without Socle's last line")
        passed, failed = int(found[-1][1]), int(found[-1][2])
        if passed > 0 and failed == 0:
            return PASSED, f"{passed} passed"
        return FAILED, f"{passed} passed, {failed} failed"


def _unescape(text):
    return text.encode().decode("unicode_escape").encode("latin-1")


def _on_signal(number, _frame):
    raise Ended(number)
