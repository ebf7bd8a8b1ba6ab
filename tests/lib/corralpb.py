# SPDX-License-Identifier: Apache-2.0
"""Messages of proto/*.proto as Python dicts: a reader of the schema, an encoder, a decoder.

It knows as much of protobuf as our schemas use: messages, enums, oneofs, the scalar types below.
"""
import re
import struct

INTEGERS = {"uint32", "uint64", "int32", "int64", "bool"}


class Schema:
    def __init__(self, *paths):
        self.messages, self.enums = {}, {}
        for path in paths:
            with open(path, encoding="utf-8") as f:
                self._read(re.sub(r"//[^\n]*", "", f.read()))

    def _read(self, text):
        for kind, name, body in re.findall(r"\b(message|enum)\s+(\w+)\s*\{((?:[^{}]|\{[^{}]*\})*)\}", text):
            if kind == "enum":
                self.enums[name] = {k: int(v) for k, v in re.findall(r"(\w+)\s*=\s*(\d+)\s*;", body)}
                continue
            fields = {}
            for label, type_, field, number in re.findall(
                    r"(?:(required|optional|repeated)\s+)?([\w.]+)\s+(\w+)\s*=\s*(\d+)\s*(?:\[[^\]]*\])?\s*;", body):
                fields[field] = (int(number), type_.split(".")[-1], label == "repeated")
            self.messages[name] = fields

    def encode(self, name, value):
        out = b""
        for field, item in value.items():
            number, type_, repeated = self.messages[name][field]
            for one in item if repeated else [item]:
                out += self._field(number, type_, one)
        return out

    def _field(self, number, type_, v):
        if type_ in self.enums or type_ in INTEGERS:
            v = self.enums[type_][v] if isinstance(v, str) else int(v)
            return varint(number << 3) + varint(v & (1 << 64) - 1)
        if type_ in self.messages:
            v = self.encode(type_, v)
        elif isinstance(v, str):
            v = v.encode()
        return varint(number << 3 | 2) + varint(len(v)) + v

    def decode(self, name, data):
        by_number = {f[0]: (k, f[1], f[2]) for k, f in self.messages[name].items()}
        out, at = {}, 0
        while at < len(data):
            tag, at = read_varint(data, at)
            if tag & 7 == 2:
                size, at = read_varint(data, at)
                assert at + size <= len(data)
                raw, at = data[at:at + size], at + size
            else:
                raw, at = read_varint(data, at)
            if tag >> 3 not in by_number:
                continue
            field, type_, repeated = by_number[tag >> 3]
            v = self._value(type_, raw)
            if repeated:
                out.setdefault(field, []).append(v)
            else:
                out[field] = v
        return out

    def _value(self, type_, raw):
        if type_ in self.enums:
            return next(k for k, v in self.enums[type_].items() if v == raw)
        if type_ in self.messages:
            return self.decode(type_, raw)
        if type_ == "string":
            return raw.decode()
        if type_ in ("int32", "int64") and raw >= 1 << 63:
            return raw - (1 << 64)
        return raw


def varint(v):
    out = b""
    while v > 127:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])


def read_varint(data, at):
    v = shift = 0
    while True:
        v |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return v, at


def frame(data):
    return struct.pack(">I", len(data)) + data
