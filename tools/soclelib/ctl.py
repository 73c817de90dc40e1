# SPDX-License-Identifier: MIT
"""Talks to Socle's monitor: the protocol is docs/monitor.md, 'For programs'."""
import json
import os
import re
import select
import socket
import termios
import time
import tty

ENTER = b"\x01m"  # Ctrl-A m: the monitor
CANCEL = b"\x03"  # a fresh prompt, whatever was typed or running
LEAVE = b"\x04"  # Ctrl-D in an empty line: the view before
LOCAL_END = 0x1D  # Ctrl-]
PROMPT = b"socle> "
LEFT = b"socle: console: "
ENTERED = b"socle: console: the monitor"
SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")
VERDICT = re.compile(rb"socle: verdict (\S+) (\S+)")
ENDS = ("ended", "stopped", "refused")
ANSWER_SECONDS = 10
PROMPT_SECONDS = 3
POLL_SECONDS = 0.5
LINE_MAX = 1 << 20


class NoAnswer(Exception):
    """There is no Socle at the other end, or it does not answer."""


class Refused(Exception):
    """The monitor said no."""


def _open_tty(path):
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        tty.setraw(fd)
        mode = termios.tcgetattr(fd)
        mode[4] = mode[5] = termios.B115200
        mode[2] |= termios.CLOCAL | termios.CREAD
        termios.tcsetattr(fd, termios.TCSANOW, mode)
    except termios.error as error:
        os.close(fd)
        raise OSError(*error.args) from error
    return fd


def _open(where):
    """(file descriptor, what must be kept for it)."""
    if where.startswith("tcp:"):
        host, colon, port = where[4:].rpartition(":")
        if not colon or not port.isdigit():
            raise ValueError("want tcp:HOST:PORT")
        link = socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS)
    elif where.startswith("unix:"):
        link = socket.socket(socket.AF_UNIX)
        link.connect(where[5:])
    elif where.startswith("/"):
        return _open_tty(where), None
    else:
        raise ValueError("want tcp:HOST:PORT, unix:PATH or /dev/ttyX")
    link.setblocking(False)
    return link.fileno(), link


class Link:
    """A serial line with a monitor at its other end."""

    def __init__(self, where):
        self.fd, self.kept = _open(where)
        self.buffer = bytearray()
        self.entered = False  # the monitor was not in view before us
        self.in_monitor = False
        self.verdicts = {}

    def close(self):
        try:
            if self.entered and self.in_monitor:
                self._send(CANCEL + LEAVE)
                # Its answer shows that it got there before the line is closed.
                end = time.monotonic() + 1
                while not (self._line(end) or LEFT).startswith(LEFT):
                    pass
        except NoAnswer:
            pass
        if self.kept:
            self.kept.close()
        else:
            os.close(self.fd)

    def _send(self, data):
        end = time.monotonic() + ANSWER_SECONDS
        while data:
            if not select.select([], [self.fd], [], max(0, end - time.monotonic()))[1]:
                raise NoAnswer("it takes no more bytes")
            try:
                data = data[os.write(self.fd, data):]
            except BlockingIOError:
                pass
            except OSError as error:
                raise NoAnswer(f"the line is closed: {error}") from error

    def _receive(self, end):
        """More bytes into the buffer; False when the time is over."""
        if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return True
        except OSError as error:
            raise NoAnswer(f"the line is closed: {error}") from error
        if not data:
            raise NoAnswer("the line is closed")
        self.buffer += data
        return True

    def _line(self, end):
        """The next line as a person would see it, None when the time is over."""
        while b"\n" not in self.buffer:
            if len(self.buffer) > LINE_MAX:
                self.buffer.clear()
            if not self._receive(end):
                return None
        raw, _, rest = bytes(self.buffer).partition(b"\n")
        self.buffer[:] = rest
        line = _seen(raw)
        match = VERDICT.match(line)
        if match:
            self.verdicts[match[1].decode("ascii", "replace")] = match[2].decode("ascii", "replace")
        return line

    def _to_prompt(self):
        """To an empty line of the monitor, from whatever view. False: no prompt came."""
        self._send(ENTER)
        self._send(CANCEL)
        end = time.monotonic() + PROMPT_SECONDS
        while True:
            while b"\n" in self.buffer:
                line = self._line(end)
                if line.startswith(ENTERED):
                    self.entered = True
            if _seen(bytes(self.buffer)) == PROMPT.rstrip() or \
                    SEQUENCE.sub(b"", bytes(self.buffer)).endswith(PROMPT):
                self.in_monitor = True
                # A prompt from before the cancel may be the one seen: let the line settle.
                if not self._receive(time.monotonic() + 0.1) or time.monotonic() > end:
                    return True
            elif not self._receive(end):
                return False

    def ask(self, words, seconds=ANSWER_SECONDS):
        """The objects of the answer, and the last one, which says whether it was done."""
        if not self._to_prompt() and not self._to_prompt():
            raise NoAnswer("no prompt of Socle's monitor comes")
        self.buffer.clear()
        self._send(" ".join([*words, "--json"]).encode() + b"\r")
        end, objects = time.monotonic() + seconds, []
        while True:
            line = self._line(end)
            if line is None:
                raise NoAnswer(f"no answer to '{words[0]}' in {seconds:g} s")
            found = _object(line)
            if found is None:
                continue
            if "done" not in found:
                objects.append(found)
            elif found["done"] == words[0]:
                self.in_monitor = words[0] != "console" or not found.get("ok")
                return objects, found

    def wait(self, name, seconds=None):
        """The verdict of a VM when it has ended."""
        end = time.monotonic() + (seconds or float("inf"))
        while True:
            try:
                objects, done = self.ask(["vm", name])
            except NoAnswer:
                # The machine may end with its last VM; its verdict was a line of the log.
                if name in self.verdicts:
                    return self.verdicts[name]
                raise
            if not done["ok"]:
                raise Refused(done.get("error", "refused"))
            state = objects[0]
            if state["state"] in ENDS:
                return state["verdict"] or state["state"].upper()
            if time.monotonic() >= end:
                raise Refused(f"VM {name} is {state['state']} after {seconds:g} s")
            pause = time.monotonic() + min(POLL_SECONDS, max(0, end - time.monotonic()))
            try:
                while self._line(pause) is not None:
                    pass
            except NoAnswer:
                if name in self.verdicts:
                    return self.verdicts[name]
                raise

    def carry(self, keyboard, screen):
        """Between a terminal and the line, until Ctrl-]."""
        saved = termios.tcgetattr(keyboard)
        os.write(screen, b"[Ctrl-] leaves]\r\n" + bytes(self.buffer))
        try:
            tty.setraw(keyboard)
            while self._carry_some(keyboard, screen):
                pass
        finally:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, saved)

    def _carry_some(self, keyboard, screen):
        ready = select.select([keyboard, self.fd], [], [])[0]
        if self.fd in ready:
            self.buffer.clear()
            self._receive(time.monotonic() + 1)
            os.write(screen, bytes(self.buffer))
        if keyboard in ready:
            data = os.read(keyboard, 4096)
            if not data or LOCAL_END in data:
                return False
            self._send(data)
        return True


def _seen(raw):
    """What of a line stays on the screen: no escape sequences, and what a CR wrote over is gone."""
    return SEQUENCE.sub(b"", raw).rstrip(b"\r").rpartition(b"\r")[2].rstrip()


def _object(line):
    if not line.startswith(b"{"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _cell(value):
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(map(str, value)) or "-"
    return "".join(c if c.isprintable() else "?" for c in str(value))


def table(objects):
    """Lines: a column for each key, anew where the keys change; one alone is listed."""
    groups = []
    for each in objects:
        if not groups or list(groups[-1][0]) != list(each):
            groups.append([])
        groups[-1].append(each)
    for number, group in enumerate(groups):
        if number:
            yield ""
        keys = list(group[0])
        if len(group) == 1 and len(keys) > 3:
            width = max(map(len, keys))
            for key in keys:
                yield f"{key:{width}}  {_cell(group[0][key])}"
            continue
        rows = [[key.upper() for key in keys]]
        rows += [[_cell(each[key]) for key in keys] for each in group]
        widths = [max(len(row[i]) for row in rows) for i in range(len(keys))]
        for row in rows:
            yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
