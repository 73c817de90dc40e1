# SPDX-License-Identifier: MIT
"""Checks regular expressions as vm/regex.c does, so that what is wrong shows before the machine."""

POSITIONS = 63
DEPTH = 16
NO_ATOM = r"no character, class, or \d \w \s \D \W \S"


class Bad(Exception):
    """What is wrong, and where."""


def check(text):
    """Raises Bad."""
    parser = _Parser(text)
    empty = parser.any()
    if parser.at < len(text):
        raise parser.bad(parser.at, "')' without '('")
    if empty:
        raise parser.bad(0, "matches an empty text, and so anything")


class _Parser:
    """A method for each part of an expression, which returns whether it may be empty."""

    def __init__(self, text):
        self.text = text
        self.at = self.positions = self.depth = 0

    @staticmethod
    def bad(at, what):
        return Bad(f"at {at + 1}: {what}")

    def peek(self, more=0):
        at = self.at + more
        return self.text[at] if at < len(self.text) else ""

    def any(self):
        empty = self.sequence()
        while self.peek() == "|":
            self.at += 1
            empty |= self.sequence()
        return empty

    def sequence(self):
        empty = True
        while self.peek() not in ("", "|", ")"):
            part = self.atom()
            repeat = self.peek()
            if repeat and repeat in "*+?":
                self.at += 1
                part |= repeat != "+"
            empty &= part
        return empty

    def atom(self):
        start = self.at
        if self.peek() == "(":
            return self.group()
        if self.peek() in "*+?{":
            raise self.bad(start, NO_ATOM)
        if self.peek() in "^$.":
            self.at += 1
        elif self.peek() == "[":
            self.set(start)
        else:
            self.byte(start)
        if self.positions == POSITIONS:
            raise self.bad(start, "too long")
        self.positions += 1
        return False

    def group(self):
        start = self.at
        self.at += 1
        if self.depth == DEPTH:
            raise self.bad(start, "too deep")
        self.depth += 1
        empty = self.any()
        self.depth -= 1
        if not self.peek():
            raise self.bad(start, "'(' without ')'")
        self.at += 1
        return empty

    def byte(self, start):
        """Its character, None for a class by name."""
        c, name = self.peek(), self.peek(1)
        self.at += 1
        if c == "\\":
            self.at += 1
            if name.isalnum():
                if name not in "dswDSW":
                    raise self.bad(start, NO_ATOM)
                return None
            c = name
        if not c:
            raise self.bad(start, NO_ATOM)
        return c

    def set(self, start):
        self.at += 1 + (self.peek(1) == "^")
        while True:
            first = self.byte(start)
            if self.peek() == "-" and self.peek(1) != "]":
                self.at += 1
                last = self.byte(start)
                if first is None or last is None or last < first:
                    raise self.bad(start, NO_ATOM)
            if self.peek() == "]":
                self.at += 1
                return
