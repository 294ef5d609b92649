#!/usr/bin/env python3
"""Prints values of Kubernetes protobuf for the tests, without knowing any message.

pb.py get <path>    of an envelope on stdin: <path> is field numbers joined by dots, "2.1.1" the name of the object in it;
                    a value for each occurrence, one a line.
pb.py watch <path>  of frames of a watch on stdin: "<type> <value>" for each, <path> within the envelope of its object.
"""
import struct
import sys


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        elif tag & 7 == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
            if len(value) != size:
                sys.exit("a field is longer than its message")
        else:
            sys.exit("wire type %d" % (tag & 7))
        yield tag >> 3, value


def values(data, path):
    if not path:
        yield data
        return
    for number, value in fields(data):
        if number == path[0]:
            yield from values(value, path[1:])


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def envelope(data):
    if data[:4] != b"k8s\0":
        sys.exit("no magic number: %r" % data[:40])
    return data[4:]


def main():
    what, path = sys.argv[1], [int(n) for n in sys.argv[2].split(".")]
    data = sys.stdin.buffer.read()
    if what == "get":
        for value in values(envelope(data), path):
            print(text(value))
        return
    at = 0
    while at + 4 <= len(data):
        (size,) = struct.unpack(">I", data[at:at + 4])
        event = data[at + 4:at + 4 + size]
        at += 4 + size
        if len(event) < size:
            break  # the reader went away within a frame
        (kind,) = values(event, [1])
        (raw,) = values(event, [2, 1])
        print(text(kind), " ".join(text(v) for v in values(envelope(raw), path)), flush=True)


main()
