"""What is asked of an SNMP agent: every version and operation, around the ends of its MIB, and BER in odd forms.

Each question is one datagram. `admin` is the user that the agent knows; its engine is asked for first, where needed,
so that a question holds the engine id of the recorded agent (`ENGINE`, from its snmpd.conf).
"""

import os

ENGINE = bytes.fromhex(os.environ.get("ENGINE", "80001f8880000102030405060700000000"))
GET, NEXT, RESPONSE, SET, TRAP, BULK, INFORM, TRAP2, REPORT = range(0xA0, 0xA9)
SYSTEM = (1, 3, 6, 1, 2, 1, 1)


def question(name, datagram, wait=1.0):
    return {"name": name, "steps": [datagram], "finish": False, "wait": [wait], "datagrams": True}


def tlv(tag, content, length=None):
    if length is None:
        size = len(content)
        length = bytes([size]) if size < 128 else bytes([0x81, size]) if size < 256 else bytes([0x82, size >> 8, size & 255])
    return bytes([tag]) + length + content


def integer(value, tag=2):
    size = 1
    while not -(1 << (8 * size - 1)) <= value < 1 << (8 * size - 1):
        size += 1
    return tlv(tag, value.to_bytes(size, "big", signed=True))


def oid(*parts):
    content = bytes([parts[0] * 40 + parts[1]]) if len(parts) > 1 else bytes(parts)
    for part in parts[2:]:
        groups = [part & 127]
        while part := part >> 7:
            groups.insert(0, part & 127 | 128)
        content += bytes(groups)
    return tlv(6, content)


NULL = tlv(5, b"")


def binding(name, value=NULL):
    return tlv(0x30, (name if isinstance(name, bytes) else oid(*name)) + value)


def pdu(kind, *bindings, request=0x12345678, status=0, index=0):
    return tlv(kind, integer(request) + integer(status) + integer(index) + tlv(0x30, b"".join(bindings)))


def community(version, inner, name=b"public"):
    return tlv(0x30, integer(version) + tlv(4, name) + inner)


def asked(kind, *names, version=1, name=b"public", **rest):
    return community(version, pdu(kind, *[binding(each) for each in names], **rest), name)


def usm(inner=None, engine=b"", boots=0, time=0, user=b"", auth=b"", priv=b"", flags=4, model=3, version=3, most=65507, number=0x4A69, scoped=None):
    parameters = tlv(4, tlv(0x30, tlv(4, engine) + integer(boots) + integer(time) + tlv(4, user) + tlv(4, auth) + tlv(4, priv)))
    header = tlv(0x30, integer(number) + integer(most) + tlv(4, bytes([flags])) + integer(model))
    if scoped is None:
        scoped = tlv(0x30, tlv(4, engine) + tlv(4, b"") + (inner or pdu(GET)))
    return tlv(0x30, integer(version) + header + parameters + scoped)


def of_communities():
    leaves = {"sysDescr": 1, "sysObjectID": 2, "sysUpTime": 3, "sysContact": 4, "sysName": 5, "sysLocation": 6, "sysServices": 7, "sysORLastChange": 8}
    for version, label in ((0, "v1"), (1, "v2c")):
        for name, leaf in leaves.items():
            yield question(f"{label} get {name}", asked(GET, SYSTEM + (leaf, 0), version=version))
            if leaf < 8:
                yield question(f"{label} getnext to {name}", asked(NEXT, SYSTEM + ((leaf - 1, 0) if leaf > 1 else ()), version=version))
        for name, at in {
            "the object without instance": SYSTEM + (1,), "below an instance": SYSTEM + (1, 0, 1), "instance 1": SYSTEM + (1, 1), "an object that is not": SYSTEM + (20, 0),
            "outside the view": (1, 3, 6, 1, 2, 1, 2, 1, 0), "the group": SYSTEM, "0.0": (0, 0), "1.3": (1, 3), "2.999": (2, 40), "enterprises": (1, 3, 6, 1, 4, 1), "a large number": SYSTEM + (4294967295, 0),
        }.items():
            yield question(f"{label} get, {name}", asked(GET, at, version=version))
            if at < SYSTEM + (8,):
                yield question(f"{label} getnext, {name}", asked(NEXT, at, version=version))
        yield question(f"{label} getnext beyond all", asked(NEXT, (1, 3, 6, 1, 4, 1), version=version))
        yield question(f"{label} getnext after the last", asked(NEXT, (1, 3, 6, 1, 2, 1, 25, 1, 7, 0), version=version))
        two, bad = (SYSTEM + (7, 0), SYSTEM + (2, 0)), (SYSTEM + (7, 0), SYSTEM + (20, 0), SYSTEM + (21, 0))
        yield question(f"{label} get of two", asked(GET, *two, version=version))
        yield question(f"{label} get of one twice", asked(GET, two[0], two[0], version=version))
        yield question(f"{label} get, second is not", asked(GET, *bad, version=version))
        yield question(f"{label} getnext of two", asked(NEXT, *two, version=version))
        yield question(f"{label} getnext, second is beyond", asked(NEXT, SYSTEM + (6, 0), (1, 3, 6, 1, 4, 1), version=version))
        yield question(f"{label} get of nothing", asked(GET, version=version))
        yield question(f"{label} getnext of nothing", asked(NEXT, version=version))
        yield question(f"{label} set of nothing", asked(SET, version=version))
        values = {
            "text": tlv(4, b"x"), "a number": integer(5), "an oid": oid(1, 3, 6), "an address": tlv(0x40, bytes(4)), "a counter": integer(5, 0x41), "a gauge": integer(5, 0x42),
            "ticks": integer(5, 0x43), "opaque": tlv(0x44, b"x"), "counter64": integer(5, 0x46), "null": NULL, "noSuchObject": tlv(0x80, b""), "a boolean": tlv(1, b"\1"), "a bit string": tlv(3, b"\0x"), "a sequence": tlv(0x30, NULL),
        }
        for name, value in values.items():
            yield question(f"{label} set sysLocation to {name}", community(version, pdu(SET, binding(SYSTEM + (6, 0), value))))
            yield question(f"{label} get with {name} as value", community(version, pdu(GET, binding(SYSTEM + (7, 0), value))))
        yield question(f"{label} set sysServices", community(version, pdu(SET, binding(SYSTEM + (7, 0), integer(5)))))
        yield question(f"{label} set what is not", community(version, pdu(SET, binding(SYSTEM + (20, 0), integer(5)))))
        yield question(f"{label} set outside the view", community(version, pdu(SET, binding((1, 3, 6, 1, 2, 1, 2, 1, 0), integer(5)))))
        yield question(f"{label} set of two", community(version, pdu(SET, binding(SYSTEM + (5, 0), tlv(4, b"x")), binding(SYSTEM + (6, 0), tlv(4, b"y")))))
        yield question(f"{label} set, second to nothing", community(version, pdu(SET, binding(SYSTEM + (5, 0), tlv(4, b"x")), binding(SYSTEM + (6, 0)))))
        yield question(f"{label} get of what is not, with a value", community(version, pdu(GET, binding(SYSTEM + (20, 0), tlv(4, b"x")))))
        for kind, name in ((RESPONSE, "response"), (TRAP, "trap"), (INFORM, "inform"), (TRAP2, "trap2"), (REPORT, "report"), (0xA9, "pdu 9"), (0x30, "sequence"), (0x80, "pdu 128")):
            yield question(f"{label} {name}", asked(kind, SYSTEM + (7, 0), version=version))
        trap = oid(1, 3, 6, 1, 4, 1, 9) + tlv(0x40, bytes(4)) + integer(0) + integer(0) + integer(1, 0x43) + tlv(0x30, b"")
        yield question(f"{label} trap in its own form", community(version, tlv(TRAP, trap)))
        for non_repeaters, repetitions in ((0, 0), (0, 1), (1, 1), (0, 2), (1, 0), (5, 1), (-1, 1), (0, -1), (0, 100)):
            yield question(f"{label} getbulk {non_repeaters} {repetitions}", asked(BULK, SYSTEM + (6, 0), version=version, status=non_repeaters, index=repetitions))
        yield question(f"{label} getbulk of two", asked(BULK, SYSTEM + (6, 0), SYSTEM + (7, 0), version=version, status=1, index=1))
        yield question(f"{label} getbulk beyond all", asked(BULK, (1, 3, 6, 1, 4, 1), version=version, index=3))
        yield question(f"{label} getbulk of nothing", asked(BULK, version=version, index=3))
        for name in (b"private", b"", b"Public", b"public\0", b"publi", b"x" * 300):
            yield question(f"{label} community {name[:10].decode()!r} of {len(name)}", asked(GET, SYSTEM + (7, 0), version=version, name=name))


def of_forms():
    inner, at = pdu(GET, binding(SYSTEM + (7, 0))), SYSTEM + (7, 0)
    good = asked(GET, at)
    for version in (-1, 2, 3, 4, 255, 256, 65536, 2**32, 2**32 + 1):
        yield question(f"version {version}", community(version, inner))
    for request in (0, 1, -1, 127, 128, 32767, 2**31 - 1, -(2**31), 2**31, 2**32 - 1, 2**32, 2**40):
        yield question(f"request id {request}", asked(GET, at, request=request))
    yield question("status 5 in the request", asked(GET, at, status=5, index=3))
    yield question("status 5 in the request, v1", asked(GET, at, status=5, index=3, version=0))
    ids = {"no bytes": tlv(2, b""), "padded": tlv(2, b"\0\0\0\1"), "padded to 5": tlv(2, b"\0\0\0\0\1"), "of 8": tlv(2, bytes(7) + b"\1"), "of 9": tlv(2, bytes(8) + b"\1"), "a text": tlv(4, b"x"), "a gauge": tlv(0x42, b"\5"), "ticks": tlv(0x43, b"\5")}
    for name, number in ids.items():
        yield question(f"request id {name}", community(1, tlv(GET, number + integer(0) + integer(0) + tlv(0x30, binding(at)))))
        yield question(f"version {name}", tlv(0x30, number + tlv(4, b"public") + inner))
    body, entry = good[2:], oid(*at) + NULL
    lengths = {"81": bytes([0x81, len(body)]), "82": bytes([0x82, 0, len(body)]), "84": bytes([0x84, 0, 0, 0, len(body)]), "88": bytes([0x88, *bytes(7), len(body)]), "89": bytes([0x89, *bytes(8), len(body)]), "indefinite": b"\x80", "one more": bytes([len(body) + 1]), "one less": bytes([len(body) - 1]), "huge": b"\x84\xff\xff\xff\xff", "ff": b"\xff"}
    for name, length in lengths.items():
        yield question(f"message length {name}", b"\x30" + length + body)
    size = len(entry)
    for name, length in {"81": bytes([0x81, size]), "82": bytes([0x82, 0, size]), "indefinite": b"\x80", "one more": bytes([size + 1]), "one less": bytes([size - 1]), "zero": b"\0"}.items():
        yield question(f"binding length {name}", community(1, tlv(GET, integer(5) + integer(0) + integer(0) + tlv(0x30, b"\x30" + length + entry))))
        yield question(f"list length {name}", community(1, tlv(GET, integer(5) + integer(0) + integer(0) + b"\x30" + length + tlv(0x30, entry))))
    yield question("something after the message", good + b"x")
    yield question("a second message after it", good + good)
    yield question("something after the pdu", tlv(0x30, integer(1) + tlv(4, b"public") + inner + NULL))
    yield question("something after the list", community(1, tlv(GET, integer(5) + integer(0) + integer(0) + tlv(0x30, binding(at)) + NULL)))
    yield question("something after the value", community(1, pdu(GET, tlv(0x30, entry + NULL))))
    yield question("no list", community(1, tlv(GET, integer(5) + integer(0) + integer(0))))
    yield question("no index", community(1, tlv(GET, integer(5) + integer(0))))
    yield question("no value", community(1, pdu(GET, tlv(0x30, oid(*at)))))
    yield question("a list that is a set", community(1, tlv(GET, integer(5) + integer(0) + integer(0) + tlv(0x31, binding(at)))))
    yield question("a binding that is a set", community(1, pdu(GET, tlv(0x31, entry))))
    yield question("a message that is a set", tlv(0x31, body))
    yield question("community a number", tlv(0x30, integer(1) + integer(5) + inner))
    yield question("null of one byte", community(1, pdu(GET, binding(at, tlv(5, b"x")))))
    names = {"empty": tlv(6, b""), "0": tlv(6, b"\0"), "unfinished": tlv(6, b"\x2b\x06\x81"), "padded": tlv(6, b"\x2b\x06\x01\x02\x01\x01\x80\x07\x00"), "overflowing": tlv(6, b"\x2b\xff\xff\xff\xff\xff\x7f"), "two to the 32nd": tlv(6, b"\x2b\x90\x80\x80\x80\x00"), "a text": tlv(4, b"x"), "of 127": tlv(6, b"\x2b" + b"\1" * 126), "of 128": tlv(6, b"\x2b" + b"\1" * 127), "of 129": tlv(6, b"\x2b" + b"\1" * 128)}
    for name, content in names.items():
        yield question(f"oid {name}", community(1, pdu(GET, binding(content))))
        yield question(f"next of oid {name}", community(1, pdu(NEXT, binding(content))))
    for size in (1, 2, 5, 10, 13, 20, 30, 41):
        yield question(f"cut to {size}", good[:size])
    yield question("text", b"GET / HTTP/1.0\r\n\r\n")
    yield question("zeros", bytes(40))
    yield question("empty sequence", b"\x30\x00")
    yield question("nested", b"\x30\x80" * 300)
    yield question("nmap SNMPv1public", bytes.fromhex("3082002f02010004067075626c6963a082002002044c33a756020100020100308200103082000c06082b060102010105000500"))
    yield question("nmap SNMPv3GetRequest", bytes.fromhex("303a020103300f02024a69020300ffe30401040201030410300e0400020100020100040004000400301204000400a00c020237f00201000201003000"))


def of_engine():
    inner = pdu(GET, binding(SYSTEM + (1, 0)))
    yield question("v3 discovery", usm())
    yield question("v3 discovery with a name", usm(user=b"admin"))
    yield question("v3 discovery with a binding", usm(inner))
    yield question("v3 discovery, no report asked", usm(flags=0))
    yield question("v3 discovery, auth flag", usm(flags=5))
    yield question("v3 discovery, auth flag and digest", usm(flags=5, auth=bytes(12), user=b"admin"))
    yield question("v3 discovery, auth and priv flags", usm(flags=7))
    yield question("v3 discovery, priv flag alone", usm(flags=6))
    yield question("v3 discovery, all flags", usm(flags=0xFF))
    yield question("v3 another engine", usm(engine=bytes.fromhex("80001f88041234567890")))
    yield question("v3 another engine and user", usm(engine=bytes.fromhex("80001f88041234567890"), user=b"admin", inner=inner))
    for name, engine in {"of 4": b"\x80\0\0\1", "of 5": b"\x80\0\0\1\5", "of 32": b"\x80" + bytes(31), "of 33": b"\x80" + bytes(32), "of 100": b"\x80" + bytes(99)}.items():
        yield question(f"v3 engine {name}", usm(engine=engine))
    for model in (0, 1, 2, 4, -1, 99):
        yield question(f"v3 security model {model}", usm(model=model))
    for most in (0, 1, 483, 484, 65507, 2**31 - 1, -1, 2**31):
        yield question(f"v3 message size {most}", usm(most=most))
    for number in (0, 1, 255, 2**31 - 1, -1, 2**31):
        yield question(f"v3 message id {number}", usm(number=number))
    for kind, name in ((NEXT, "getnext"), (BULK, "getbulk"), (SET, "set"), (RESPONSE, "response"), (TRAP2, "trap2"), (INFORM, "inform"), (REPORT, "report"), (0xA9, "pdu 9")):
        yield question(f"v3 discovery by {name}", usm(pdu(kind, binding(SYSTEM + (1, 0)))))
    here = {"engine": ENGINE, "inner": inner}
    yield question("v3 no user", usm(**here))
    for user in (b"nobody", b"root", b"Admin", b"admin\0", b"x" * 32, b"x" * 33, b"\xff\xfe"):
        yield question(f"v3 user {user[:8]!r} of {len(user)}", usm(user=user, **here))
    yield question("v3 unknown user with digest", usm(user=b"nobody", auth=bytes(12), flags=5, **here))
    yield question("v3 unknown user, no report asked", usm(user=b"nobody", flags=0, **here))
    yield question("v3 unknown user, auth and priv", usm(user=b"nobody", auth=bytes(12), priv=bytes(8), flags=7, **here))
    yield question("v3 admin without auth", usm(user=b"admin", **here))
    yield question("v3 admin without auth, set", usm(engine=ENGINE, user=b"admin", inner=pdu(SET, binding(SYSTEM + (6, 0), tlv(4, b"x")))))
    yield question("v3 admin without auth, getnext", usm(engine=ENGINE, user=b"admin", inner=pdu(NEXT, binding(SYSTEM + (1, 0)))))
    yield question("v3 admin without auth, index 3", usm(engine=ENGINE, user=b"admin", inner=pdu(GET, binding(SYSTEM + (1, 0)), index=3)))
    yield question("v3 time -1", usm(time=-1))
    yield question("v3 boots -1", usm(boots=-1))
    for flags in (0, 4):
        parameters = tlv(0x30, tlv(4, b"") + integer(0) + integer(0) + tlv(4, b"") + tlv(4, b"") + tlv(6, b""))
        header = tlv(0x30, integer(9) + integer(65507) + tlv(4, bytes([flags])) + integer(3))
        yield question(f"v3 salt of another type, flags {flags}", tlv(0x30, integer(3) + header + tlv(4, parameters) + tlv(0x30, tlv(4, b"") + tlv(4, b"") + pdu(GET))))
    for name, broken in {"overlong": b"\xa0\x7f\x02\x01\x05", "without an id": tlv(GET, NULL), "with a bad value": pdu(GET, binding(SYSTEM + (1, 0), tlv(1, b"x")))}.items():
        yield question(f"v3 discovery by a pdu {name}", usm(broken))
        yield question(f"v3 discovery by a pdu {name}, no report asked", usm(broken, flags=0))
    yield question("v3 admin without auth, getbulk", usm(engine=ENGINE, user=b"admin", inner=pdu(BULK, binding(SYSTEM + (1, 0)), index=1)))
    for size in (0, 1, 11, 12, 13, 16, 24, 32, 48):
        yield question(f"v3 admin, digest of {size}", usm(user=b"admin", auth=bytes(size), flags=5, boots=1, time=400, **here))
    yield question("v3 admin, digest, no report asked", usm(user=b"admin", auth=bytes(12), flags=1, **here))
    yield question("v3 admin, digest, wrong boots", usm(user=b"admin", auth=bytes(12), flags=5, boots=77, time=4, **here))
    sealed = {"engine": ENGINE, "user": b"admin", "boots": 1, "time": 400, "scoped": tlv(4, bytes(48))}
    yield question("v3 admin, encrypted", usm(auth=bytes(12), priv=bytes(8), flags=7, **sealed))
    yield question("v3 admin, encrypted, salt of 7", usm(auth=bytes(12), priv=bytes(7), flags=7, **sealed))
    yield question("v3 admin, encrypted without auth", usm(priv=bytes(8), flags=6, **sealed))
    yield question("v3 admin, encrypted but said to be plain", usm(auth=bytes(12), flags=5, **sealed))
    yield question("v3 unknown user, encrypted", usm(engine=ENGINE, user=b"nobody", auth=bytes(12), priv=bytes(8), flags=7, scoped=tlv(4, bytes(48))))
    yield question("v3 discovery, encrypted", usm(flags=7, scoped=tlv(4, bytes(48))))
    yield question("v3 without a scoped pdu", usm(scoped=b""))
    yield question("v3 scoped pdu a number", usm(scoped=integer(5)))
    yield question("v3 flags of two bytes", tlv(0x30, integer(3) + tlv(0x30, integer(9) + integer(65507) + tlv(4, b"\4\0") + integer(3)) + usm()[2 + 3 + 17:]))
    yield question("v3 security parameters a number", tlv(0x30, integer(3) + tlv(0x30, integer(9) + integer(65507) + tlv(4, b"\4") + integer(3)) + integer(5) + tlv(0x30, tlv(4, b"") + tlv(4, b"") + pdu(GET))))
    yield question("v3 security parameters empty", tlv(0x30, integer(3) + tlv(0x30, integer(9) + integer(65507) + tlv(4, b"\4") + integer(3)) + tlv(4, b"") + tlv(0x30, tlv(4, b"") + tlv(4, b"") + pdu(GET))))
    for size in (10, 20, 25, 30, 40, 50, 59):
        yield question(f"v3 cut to {size}", usm()[:size])
    yield question("v3 something after it", usm() + b"x")
    yield question("v3 context", usm(scoped=tlv(0x30, tlv(4, b"") + tlv(4, b"bridge1") + pdu(GET))))
    yield question("v3 as community", tlv(0x30, integer(3) + tlv(4, b"public") + pdu(GET, binding(SYSTEM + (7, 0)))))


def snmp():
    yield from of_communities()
    yield from of_forms()
    yield from of_engine()
