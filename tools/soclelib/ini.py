# SPDX-License-Identifier: MIT
"""Reads INI files: [sections] of key = value lines.

The reader is our own, not configparser: keys may repeat, values keep their `=`, `:` and `%`, and
every complaint names the file, the line, the section and the key.
"""
import re


class Bad(Exception):
    """One line for the user."""


def _unquote(value):
    """The value of a `key = value` line: comments go, quotes protect."""
    if not value.startswith('"'):
        return re.sub(r"(^|\s)[#;].*$", "", value).strip()
    match = re.fullmatch(r'"((?:[^"\\]|\\.)*)"\s*([#;].*)?', value)
    if not match:
        raise ValueError('a value that begins with " must end with it '
                         r'(inside, \" and \\ stand for themselves)')
    return re.sub(r"\\(.)", r"\1", match[1])


class Reader:
    """One file. Subclasses say what a section is called and what values are right."""

    name = re.compile(r".+")
    name_rule = ""
    what = "section"

    def __init__(self, path):
        self.path = path
        self.line = 0
        self.section = None
        self.key = None

    def bad(self, what):
        where = f"{self.path}:{self.line}"
        if self.section is not None:
            where += f": [{self.section}]"
        if self.key is not None:
            where += f" {self.key}"
        return Bad(f"{where}: {what}")

    def text(self):
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "is not UTF-8 text"
            raise Bad(f"{self.path}: {why}; want a text file of [sections]") from None

    def sections(self):
        """{name: (line, [(line, key, value)])} in the file's order."""
        found, current = {}, None
        for self.line, raw in enumerate(self.text().splitlines(), 1):
            line = raw.strip()
            if not line or line[0] in "#;":
                continue
            if line.startswith("["):
                self.section = self.key = None
                name = self._section_name(line, found)
                current = found.setdefault(name, (self.line, []))[1]
                self.section = name
            else:
                current = self._assignment(line, current)
        self.section = self.key = None
        return found

    def _section_name(self, line, found):
        match = re.fullmatch(r"\[([^]]*)\]\s*([#;].*)?", line)
        if not match:
            raise self.bad(f"'{line}' is no section; want [name]")
        name = match[1].strip()
        if not self.name.match(name):
            raise self.bad(f"'{name}' cannot name a {self.what}; want {self.name_rule}")
        if name in found:
            raise self.bad(f"[{name}] is there already, at line {found[name][0]}; "
                           f"want another name for each {self.what}")
        return name

    def _assignment(self, line, current):
        key, equals, value = line.partition("=")
        self.key = key.strip() or None
        if not equals or not self.key:
            self.key = None
            raise self.bad(f"'{line}' is neither a [section] nor key = value")
        if current is None:
            raise self.bad("stands before the first section; want [name] above it")
        try:
            current.append((self.line, self.key, _unquote(value.strip())))
        except ValueError as error:
            raise self.bad(error) from None
        self.key = None
        return current

    def values(self, name, section, allowed, repeatable=()):
        """Checks the keys of one section; returns {key: [value]}."""
        seen = {}
        self.section = name
        for self.line, self.key, value in section:
            if self.key not in allowed:
                raise self.bad(f"unknown key; want one of {', '.join(allowed)}")
            if self.key in seen and self.key not in repeatable:
                raise self.bad("is there twice; want it once")
            seen.setdefault(self.key, []).append(self.value(value))
        self.key = None
        return seen

    def value(self, value):
        """Checks and converts the value of self.key; raises self.bad(...)."""
        return value
