# SPDX-License-Identifier: MIT
"""PNG pictures as QEMU writes them, made PPM. PNG specification, 'Filtering'."""
import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
RGB_8_BITS = (8, 2, 0, 0, 0)  # depth, colour type, compression, filter method, no interlace
BYTES = 3  # of a pixel


class BadPng(Exception):
    """One line for the user."""


def to_ppm(data):
    """The bytes of a binary PPM file."""
    chunks = _chunks(data)
    if chunks[-1][0] != b"IEND" or chunks[0][0] != b"IHDR":
        raise BadPng(f"the picture is not whole: {len(data)} bytes")
    width, height, *form = struct.unpack(">IIBBBBB", chunks[0][1])
    if tuple(form) != RGB_8_BITS:
        raise BadPng(f"the picture has the form {form}; want {RGB_8_BITS}")
    rows = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    out, above, stride = [b"P6\n%d %d\n255\n" % (width, height)], bytes(width * BYTES), width * BYTES
    for at in range(0, height * (stride + 1), stride + 1):
        above = _row(rows[at], bytearray(rows[at + 1:at + 1 + stride]), above)
        out.append(bytes(above))
    return b"".join(out)


def _chunks(data):
    """(kind, content) of each whole chunk."""
    at, found = len(SIGNATURE), []
    while data.startswith(SIGNATURE) and at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + size > len(data):
            break
        found.append((kind, data[at + 8:at + 8 + size]))
        at += 12 + size
    return found or [(b"", b"")]


def _row(kind, row, above):
    """Takes the filter off one row."""
    for at in range(len(row)) if kind else ():
        left = row[at - BYTES] if at >= BYTES else 0
        corner = above[at - BYTES] if at >= BYTES else 0
        guess = (left, above[at], (left + above[at]) // 2, _paeth(left, above[at], corner))[kind - 1]
        row[at] = row[at] + guess & 255
    return row


def _paeth(left, above, corner):
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))
