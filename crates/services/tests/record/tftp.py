#!/usr/bin/env python3
"""Asks tftpd-hpa what a tester might ask, and writes down what it answers.

    tftp.py > probes-more.json              as it is configured by default, for ../bait
    tftp.py --create > probes-uploads.json  with permission to make files, for an empty folder

Each question is asked of a server that was just started (as root, in.tftpd in the PATH), since what an earlier request
left in its memory shows in its answers to later ones. Each step is a datagram: the first to the server's port, the
others to the port that its answer came from.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

PORT = 16969
QUIET = 0.3


def request(opcode, name, mode=b"octet", *options):
    return b"\0" + opcode + b"".join(text + b"\0" for text in (name, mode, *options))


def read(name, *more):
    return request(b"\1", name, *more)


def write(name, *more):
    return request(b"\2", name, *more)


def ack(number):
    return b"\0\4" + number.to_bytes(2, "big")


def data(number, content=b""):
    return b"\0\3" + number.to_bytes(2, "big") + content


def option(*options):
    return [read(b"a.txt", b"octet", *options)]


def default():
    yield "RRQ", [read(b"a.txt"), ack(1)]
    yield "RRQ, absolute", [read(b"/a.txt"), ack(1)]
    yield "RRQ, odd path", [read(b"//./dir/../a.txt"), ack(1)]
    yield "RRQ, above the root", [read(b"../../a.txt"), ack(1)]
    yield "RRQ, netascii", [read(b"lines", b"netascii"), ack(1)]
    yield "RRQ, OCTET", [read(b"a.txt", b"OCTET")]
    for mode in (b"mail", b"foo", b"octe", b"octett", b" octet"):
        yield f"RRQ, mode {mode.decode()}", [read(b"a.txt", mode)]
    yield "RRQ, empty mode", [read(b"a.txt", b"")]
    yield "RRQ, empty name", [read(b"")]
    yield "RRQ, no mode", [b"\0\1a.txt\0"]
    yield "RRQ, name unfinished", [b"\0\1a.txt"]
    yield "RRQ, mode unfinished", [b"\0\1a.txt\0octet"]
    yield "RRQ, value unfinished", [b"\0\1a.txt\0octet\0blksize\x00600"]
    yield "RRQ, option without value", [b"\0\1a.txt\0octet\0blksize\0"]
    for name in (b"none", b"secret.cfg", b"startup-config", b"r7tftp.txt", b"a.txt/x", b"none/x", b"dir", b"dir/", b"dir/none", b"a.txt/", b"..", b"/", b".", b"../etc/passwd", b"/etc/passwd", b"\\boot.ini", b"A.TXT", b"a" * 255, b"a" * 256, b"dir/" + b"a" * 300, b"none/" + b"a" * 300, b"\xff\xfe", bytes(range(1, 256)), b"%s%n", b"a.txt ", b" a.txt"):
        shown = name[:12].decode("latin-1") + (f" … {len(name)}" if len(name) > 12 else "")
        yield f"RRQ {shown!r}", [read(name)]
    yield "RRQ none, bad mode", [read(b"none", b"foo")]
    yield "RRQ none, with options", [read(b"none", b"octet", b"blksize", b"1024", b"tsize", b"0")]
    yield "RRQ none, bad option", [read(b"none", b"octet", b"blksize", b"7")]
    yield "RRQ 512 bytes", [read(b"b512"), ack(1), ack(2)]
    yield "RRQ empty file", [read(b"empty"), ack(1)]
    yield "RRQ 1300 bytes", [read(b"b1300"), ack(1), ack(2), ack(3)]
    yield "RRQ, ACKs out of order", [read(b"b1300"), ack(0), ack(7), ack(1), ack(1), ack(2)]
    yield "RRQ, other datagrams in it", [read(b"b1300"), b"hello", data(1, b"x"), read(b"b1300"), ack(1)]
    yield "RRQ, ended by the client", [read(b"b1300"), b"\0\5\0\0stop\0", ack(1)]
    for value in (b"8", b"7", b"0", b"512", b"600", b"1468", b"65464", b"65465", b"99999", b"abc", b"", b"-1", b"+600", b" 600", b"600 ", b"0600", b"0x600", b"600x", b"9" * 40):
        yield f"blksize {value.decode()!r}", option(b"blksize", value)
    for value in (b"7", b"8", b"600", b"1400", b"65464", b"99999"):
        yield f"blksize2 {value.decode()}", option(b"blksize2", value)
    for value in (b"0", b"5", b"abc"):
        yield f"tsize {value.decode()}", option(b"tsize", value)
    for value in (b"0", b"1", b"255", b"256", b"x"):
        yield f"timeout {value.decode()}", option(b"timeout", value)
    for value in (b"9999", b"10000", b"255000000", b"255000001"):
        yield f"utimeout {value.decode()}", option(b"utimeout", value)
    for value in (b"0", b"1", b"2", b"65535", b"65536"):
        yield f"rollover {value.decode()}", option(b"rollover", value)
    yield "several options", option(b"tsize", b"0", b"blksize", b"1468", b"timeout", b"3", b"windowsize", b"4")
    yield "an unknown option", option(b"foo", b"1")
    yield "an unknown option and a known one", option(b"foo", b"1", b"TSize", b"0")
    yield "windowsize", option(b"windowsize", b"4")
    yield "multicast", option(b"multicast", b"")
    yield "an option twice", option(b"blksize", b"600", b"blksize", b"700")
    yield "an option after an empty one", option(b"", b"1", b"tsize", b"0")
    yield "tsize, netascii", [read(b"a.txt", b"netascii", b"tsize", b"0")]
    yield "OACK, then the file", option(b"tsize", b"0") + [ack(0), ack(1)]
    yield "OACK, then ACK 1", option(b"tsize", b"0") + [ack(1), ack(0)]
    yield "OACK refused", option(b"tsize", b"0") + [b"\0\5\0\x08no\0"]
    yield "small blocks", [read(b"b512", b"octet", b"blksize", b"200"), ack(0), ack(1), ack(2), ack(3)]
    yield "WRQ", [write(b"new.txt")]
    yield "WRQ of a file that is there", [write(b"a.txt")]
    yield "WRQ of a folder", [write(b"dir")]
    yield "WRQ, bad mode", [write(b"new.txt", b"foo")]
    yield "WRQ, no mode", [b"\0\2new.txt\0"]
    yield "WRQ above the root", [write(b"../new.txt")]
    yield "WRQ with options", [write(b"new.txt", b"octet", b"tsize", b"5")]
    yield "WRQ, bad option", [write(b"new.txt", b"octet", b"blksize", b"7")]
    for opcode in (0, 3, 4, 5, 6, 7, 9, 257, 512, 65535):
        yield f"opcode {opcode}", [opcode.to_bytes(2, "big") + b"\0\1abc\0"]
    yield "HTTP", [b"GET / HTTP/1.0\r\n\r\n"]
    yield "one byte", [b"\1"]


def create():
    yield "WRQ", [write(b"new.txt"), data(1, b"hello")]
    yield "WRQ, last block twice", [write(b"new.txt"), data(1, b"hello"), data(1, b"hello")]
    yield "WRQ, two blocks", [write(b"new.txt"), data(1, b"x" * 512), data(2, b"")]
    yield "WRQ, a block twice", [write(b"new.txt"), data(1, b"x" * 512), data(1, b"x" * 512), data(2, b"y")]
    yield "WRQ, a block left out", [write(b"new.txt"), data(2, b"x"), data(1, b"y")]
    yield "WRQ, block 0", [write(b"new.txt"), data(0, b"x"), data(1, b"y")]
    yield "WRQ, other datagrams in it", [write(b"new.txt"), ack(1), b"hello", write(b"new.txt"), data(1, b"x")]
    yield "WRQ, ended by the client", [write(b"new.txt"), data(1, b"x" * 512), b"\0\5\0\0stop\0", data(2, b"")]
    yield "WRQ with options", [write(b"new.txt", b"octet", b"tsize", b"5", b"blksize", b"1024"), data(1, b"hello")]
    yield "WRQ with tsize 0", [write(b"new.txt", b"octet", b"tsize", b"0"), data(1, b"hello")]
    yield "WRQ, OACK again for block 0", [write(b"new.txt", b"octet", b"blksize", b"1024"), data(0, b""), data(1, b"x")]
    yield "WRQ, small blocks", [write(b"new.txt", b"octet", b"blksize", b"8"), data(1, b"x" * 8), data(2, b"y")]
    yield "WRQ, bad option", [write(b"new.txt", b"octet", b"blksize", b"7")]
    yield "WRQ, windowsize", [write(b"new.txt", b"octet", b"windowsize", b"4"), data(1, b"x")]
    yield "WRQ, netascii", [write(b"new.txt", b"netascii"), data(1, b"a\r\nb\r\0c\n")]
    yield "WRQ, netascii, tsize", [write(b"new.txt", b"netascii", b"tsize", b"9"), data(1, b"x")]
    yield "WRQ, a long name", [write(b"a" * 256)]
    yield "WRQ, the longest name", [write(b"a" * 255), data(1, b"x")]
    yield "WRQ, the root", [write(b"/")]
    yield "WRQ above the root", [write(b"../new.txt"), data(1, b"x")]
    yield "WRQ, any byte", [write(bytes(range(1, 47)) + bytes(range(48, 200))), data(1, b"x")]
    yield "WRQ, unknown mode", [write(b"new.txt", b"mail")]
    yield "RRQ", [read(b"none")]


def ask(steps):
    received, end = [], "silent"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        line.settimeout(QUIET)
        to = ("127.0.0.1", PORT)
        for sent in steps:
            line.sendto(sent, to)
            try:
                answer, to = line.recvfrom(70000)
                end = "answered"
            except TimeoutError:
                answer, end = b"", "silent"
            received.append({"send_hex": sent.hex(), "recv_hex": answer.hex()})
    return received, end


def main():
    uploads = "--create" in sys.argv
    here = os.path.dirname(os.path.abspath(__file__))
    answers = []
    for name, steps in create() if uploads else default():
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o777)
            if not uploads:
                shutil.copytree(os.path.join(here, "bait"), folder, dirs_exist_ok=True)
            more = ["--create"] if uploads else []
            server = subprocess.Popen(["in.tftpd", "--listen", "--foreground", *more, "--address", f"127.0.0.1:{PORT}", "--secure", folder])
            time.sleep(0.15)
            received, end = ask(steps)
            server.terminate()
            server.wait()
            answers.append({"name": name, "steps": received, "end": end})
    print("[")
    print(",\n".join(json.dumps(answer, ensure_ascii=False) for answer in answers))
    print("]")


main()
