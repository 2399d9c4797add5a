#!/usr/bin/env python3
"""Asks servers the questions of questions.py and writes down what they answer, or how two of them differ.

    ask.py record SERVICE HOST:PORT > probes-more.json      the recording that tests/believable.rs replays
    ask.py compare SERVICE HOST:PORT HOST:PORT              where the second answers unlike the first

It starts nothing: have the real server listen on loopback first (README.md tells how each was run). Options:
--only TEXT asks only what has TEXT in its name, --without TEXT (repeatable) only what has not, --every N only each
Nth, --jobs N asks that many at once, --mask REGEX (repeatable) hides
what differs each time before comparing, --all writes what agrees, too.
"""

import argparse
import concurrent.futures
import json
import re
import select
import socket
import sys
import time

import questions


def address(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def read(connection, first, quiet):
    """Everything until the line is silent, and how that ended. `first`: how long to wait for the first byte."""
    received, end, patience = b"", "open", first
    while True:
        ready, _, _ = select.select([connection], [], [], patience)
        if not ready:
            return received, end
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return received, "rst"
        except OSError:
            return received, "fin"
        if not piece:
            # A reset may follow.
            return received, "fin"
        received += piece
        patience = quiet


def ask_datagrams(target, question):
    steps, end = [], "silent"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.connect(target)
        for at, sent in enumerate(question["steps"]):
            line.send(sent)
            line.settimeout(question["wait"][at])
            try:
                received, end = line.recv(65536), "answered"
            except TimeoutError:
                received, end = b"", "silent"
            steps.append({"send_hex": sent.hex(), "recv_hex": received.hex()})
    return {"name": question["name"], "steps": steps, "end": end}


def ask(target, question, quiet):
    if question.get("datagrams"):
        return ask_datagrams(target, question)
    steps, end = [], "open"
    connection = socket.create_connection(target, timeout=20)
    connection.setblocking(True)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        for at, sent in enumerate(question["steps"]):
            if sent and end == "open":
                try:
                    connection.sendall(sent)
                except (BrokenPipeError, ConnectionResetError):
                    end = "rst"
            if at + 1 == len(question["steps"]) and question.get("finish"):
                try:
                    connection.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
            received = b""
            if end == "open":
                first = question["wait"][at]
                # A server that thinks about a password first says something else at once.
                received, end = read(connection, first, max(quiet, first / 2 if first >= 5 else 0))
            steps.append({"send_hex": sent.hex(), "recv_hex": received.hex()})
    finally:
        connection.close()
    return {"name": question["name"], "steps": steps, "end": end}


def masked(data, masks):
    for mask in masks:
        data = mask.sub(lambda found: b"#" if not found.groups() else replaced(found), data)
    return data


def replaced(found):
    whole, start = found.group(0), found.start(0)
    out, at = b"", 0
    for group in range(1, len(found.groups()) + 1):
        if found.start(group) >= 0:
            out += whole[at : found.start(group) - start] + b"#"
            at = found.end(group) - start
    return out + whole[at:]


def differs(theirs, ours, masks):
    for at, (their, our) in enumerate(zip(theirs["steps"], ours["steps"])):
        real, decoy = (masked(bytes.fromhex(step["recv_hex"]), masks) for step in (their, our))
        if real != decoy:
            return f"step {at} {bytes.fromhex(their['send_hex'])[:150]!r}\n   real {real[:700]!r}\n   ours {decoy[:700]!r}"
    if theirs["end"] != ours["end"]:
        return f"ends with {theirs['end']}, ours with {ours['end']}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["record", "compare"])
    parser.add_argument("service")
    parser.add_argument("servers", nargs="+")
    parser.add_argument("--only", default="")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--quiet", type=float, default=0.4)
    parser.add_argument("--mask", action="append", default=[])
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    asked = [question for question in questions.of(options.service) if options.only in question["name"]]
    asked = [question for question in asked if not any(part in question["name"] for part in options.without)][:: options.every]
    names = [question["name"] for question in asked]
    assert len(names) == len(set(names)), [name for name in names if names.count(name) > 1]
    servers = [address(server) for server in options.servers]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        if options.what == "record":
            answers = list(pool.map(lambda question: ask(servers[0], question, options.quiet), asked))
            print("[")
            print(",\n".join(json.dumps(answer, ensure_ascii=False) for answer in answers))
            print("]")
            for question in asked:
                if question["finish"]:
                    print("finish", question["name"], file=sys.stderr)
            return
        masks = [re.compile(mask.encode(), re.S) for mask in options.mask + questions.masks(options.service)]

        def both(question):
            how = None
            for attempt in range(2):
                theirs, ours = (ask(server, question, options.quiet * (1 + attempt * 2)) for server in servers)
                how = differs(theirs, ours, masks)
                if how is None:
                    break
            return question["name"], how

        differing = 0
        for name, how in pool.map(both, asked):
            differing += how is not None
            if how or options.all:
                print(f"{name}: {how or 'agrees'}", flush=True)
        print(f"{options.service}: {len(asked) - differing} of {len(asked)} agree")


if __name__ == "__main__":
    main()
