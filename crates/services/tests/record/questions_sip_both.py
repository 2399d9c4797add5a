"""What is asked of a SIP server over UDP and again over TCP, and how each is cut up. Lines are long here: each question is one."""


def question(name, *steps, finish=False, wait=1.0):
    return {"name": name, "steps": list(steps), "finish": finish, "wait": [wait] * len(steps)}


def request(method="OPTIONS", uri="sip:nm", via="SIP/2.0/UDP nm;branch=z9hG4bKfoo;rport", sender="<sip:nm@nm>;tag=root",
            to="<sip:nm2@nm2>", call="50000", cseq=None, more=(), length="0", forwards="70", end="\r\n", version="SIP/2.0", body=""):
    lines = [f"{method} {uri} {version}"]
    fields = [("Via", via), ("From", sender), ("To", to), ("Call-ID", call), ("CSeq", cseq or f"42 {method}"), ("Max-Forwards", forwards)]
    lines += [f"{name}: {value}" for name, value in fields if value is not None]
    lines += list(more)
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return (end.join(lines) + end + end + body).encode("latin-1")


NMAP = (b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/%s nm;branch=foo%s\r\nFrom: <sip:nm@nm>;tag=root\r\nTo: <sip:nm2@nm2>\r\nCall-ID: 50000\r\n"
        b"CSeq: 42 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\nContact: <sip:nm@nm>\r\nAccept: application/sdp\r\n\r\n")
OURS = "<sip:100@pbx.example.com>;tag=9"


def digest(uri="sip:pbx.example.com", name="Authorization", realm="nm", user="100", more=""):
    return (f'{name}: Digest username="{user}", realm="{realm}", nonce="awWGgWsFhVVrPwlTdys6JrcTcc0Z4XLz", uri="{uri}", '
            f'response="0123456789abcdef0123456789abcdef", algorithm=MD5{more}')


def messages(via):
    """`via`: the transport in the Via field."""
    def ask(*args, **more):
        more.setdefault("via", f"SIP/2.0/{via} nm;branch=z9hG4bKfoo;rport")
        return request(*args, **more)

    yield "nmap", NMAP % (via.encode(), b";rport" if via == "UDP" else b"")
    for method in ("OPTIONS", "REGISTER", "INVITE", "SUBSCRIBE", "NOTIFY", "PUBLISH", "MESSAGE", "REFER", "INFO", "UPDATE", "PRACK", "BYE", "CANCEL", "ACK", "FOO", "options"):
        yield method, ask(method)
        yield f"{method} from one of ours", ask(method, sender=OURS)
        yield f"{method} in a dialogue", ask(method, to="<sip:nm2@nm2>;tag=77")
    yield "REGISTER with an answer", ask("REGISTER", more=[digest()])
    yield "REGISTER of ours with an answer", ask("REGISTER", sender=OURS, more=[digest(realm="pbx.example.com")])
    yield "REGISTER with Basic", ask("REGISTER", more=["Authorization: Basic MTAwOjEwMA=="])
    yield "REGISTER with half an answer", ask("REGISTER", sender=OURS, more=['Authorization: Digest username="100", realm="pbx.example.com"'])
    yield "REGISTER with a proxy's answer", ask("REGISTER", more=[digest(name="Proxy-Authorization")])
    yield "INVITE of ours with an answer", ask("INVITE", sender=OURS, more=[digest(name="Proxy-Authorization", realm="pbx.example.com")])
    yield "INVITE of ours with the wrong field", ask("INVITE", sender=OURS, more=[digest(realm="pbx.example.com")])
    yield "INVITE with a description", ask("INVITE", more=["Content-Type: application/sdp"], length="4", body="v=0\n")
    yield "without rport", ask(via=f"SIP/2.0/{via} nm;branch=z9hG4bKfoo")
    yield "without branch", ask(via=f"SIP/2.0/{via} nm")
    yield "rport in the middle", ask(via=f"SIP/2.0/{via} nm;rport;branch=z9hG4bKfoo;alias")
    yield "rport with a value", ask(via=f"SIP/2.0/{via} nm;rport=99;branch=z9hG4bKfoo")
    yield "received given", ask(via=f"SIP/2.0/{via} nm;received=1.2.3.4;branch=z9hG4bKfoo")
    yield "unknown parameter of Via", ask(via=f"SIP/2.0/{via} nm;x=y;branch=z9hG4bKfoo;z")
    yield "blanks in Via", ask(via=f"SIP / 2.0 / {via}  nm ; branch = z9hG4bKfoo ; rport")
    yield "two Vias in one field", ask(via=f"SIP/2.0/{via} nm;branch=z9hG4bKfoo;rport, SIP/2.0/UDP other;branch=z9hG4bKbar")
    yield "two Vias", ask(more=["Via: SIP/2.0/UDP other;branch=z9hG4bKbar"])
    yield "comment in Via", ask(via=f"SIP/2.0/{via} nm;branch=z9hG4bKfoo;rport (hello)")
    yield "Via of another transport", ask(via=f"SIP/2.0/{'TCP' if via == 'UDP' else 'UDP'} nm;branch=z9hG4bKfoo;rport")
    yield "Via of an unknown transport", ask(via="SIP/2.0/FOO nm;branch=z9hG4bKfoo;rport")
    yield "Via of HTTP", ask(via="HTTP/1.1 nm")
    for field in ("via", "sender", "to", "call", "forwards"):
        yield f"without {field}", ask(**{field: None})
        yield f"REGISTER without {field}", ask("REGISTER", **{field: None})
    yield "without CSeq", ask().replace(b"CSeq: 42 OPTIONS\r\n", b"")
    yield "REGISTER without CSeq", ask("REGISTER").replace(b"CSeq: 42 REGISTER\r\n", b"")
    yield "CSeq of another method", ask(cseq="42 INVITE")
    yield "REGISTER with the CSeq of another method", ask("REGISTER", cseq="42 INVITE")
    yield "CSeq without a number", ask(cseq="OPTIONS")
    yield "CSeq alone", ask(cseq="42")
    yield "CSeq of 4294967296", ask("REGISTER", cseq="4294967296 REGISTER")
    yield "Max-Forwards 0", ask(forwards="0")
    yield "Max-Forwards 1", ask(forwards="1")
    yield "Max-Forwards x", ask(forwards="x")
    yield "Max-Forwards 300", ask(forwards="300")
    yield "REGISTER Max-Forwards 0", ask("REGISTER", forwards="0")
    yield "short names", (f"OPTIONS sip:nm SIP/2.0\r\nv: SIP/2.0/{via} nm;branch=foo\r\nf: <sip:a@b>;tag=1\r\nt: <sip:c@d>\r\ni: 9\r\nCSeq: 1 OPTIONS\r\nl: 0\r\n\r\n").encode()
    yield "lower case names", ask("REGISTER").replace(b"Via", b"via").replace(b"From", b"from").replace(b"To:", b"to:").replace(b"CSeq", b"cseq").replace(b"Call-ID", b"call-id")
    yield "blanks before colons", ask().replace(b": ", b" : ")
    yield "no blanks", ask().replace(b": ", b":")
    yield "many blanks", ask().replace(b": ", b":   \t ")
    yield "folded From", ask(sender="<sip:nm@nm>\r\n ;tag=root")
    yield "folded Via", ask(via=f"SIP/2.0/{via} nm;branch=z9hG4bKfoo\r\n ;rport")
    yield "other order", (f"OPTIONS sip:nm SIP/2.0\r\nCSeq: 1 OPTIONS\r\nTo: <sip:c@d>\r\nCall-ID: 9\r\nVia: SIP/2.0/{via} nm;branch=foo\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nContent-Length: 0\r\n\r\n").encode()
    yield "Record-Route and Timestamp", ask(more=["Record-Route: <sip:1.2.3.4;lr>", "Timestamp: 54"])
    yield "REGISTER with Record-Route", ask("REGISTER", more=["Record-Route: <sip:1.2.3.4;lr>"])
    yield "Require", ask("REGISTER", more=["Require: foo"])
    yield "Proxy-Require", ask("REGISTER", more=["Proxy-Require: foo"])
    yield "Expires -1", ask("REGISTER", more=["Expires: -1"])
    yield "field without colon", ask("REGISTER", more=["hello"])
    yield "empty field", ask("REGISTER", more=["Subject:"])
    yield "display name", ask("REGISTER", sender='"A B" <sip:a@b>;tag=1', to='"C \\" D" <sip:c@d>')
    yield "no angle brackets", ask("REGISTER", sender="sip:a@b;tag=1", to="sip:c@d")
    yield "tel", ask("REGISTER", sender="<tel:+123>;tag=1", to="<tel:+123>")
    yield "From no URI", ask("REGISTER", sender="hello;tag=1")
    yield "From without tag", ask("REGISTER", sender="<sip:a@b>")
    yield "empty From", ask("REGISTER", sender="")
    yield "OPTIONS From no URI", ask(sender="hello;tag=1")
    yield "OPTIONS to one of ours", ask(uri="sip:pbx.example.com")
    yield "OPTIONS of an extension", ask(uri="sip:100@pbx.example.com")
    for uri in ("sip:", "sips:nm", "tel:+1234", "http://nm/", "nm", "*", "sip:a@b:99999", "sip:a b@c"):
        yield f"OPTIONS {uri}", ask(uri=uri)
        yield f"REGISTER {uri}", ask("REGISTER", uri=uri)
    for version in ("SIP/2.1", "SIP/1.0", "SIP/2", "sip/2.0", "HTTP/1.1", ""):
        yield f"version {version}", ask(version=version)
        yield f"REGISTER version {version}", ask("REGISTER", version=version)
    yield "an answer", b"SIP/2.0 200 OK\r\nVia: SIP/2.0/%s nm;branch=z9hG4bKfoo\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: 9\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n" % via.encode()
    yield "bytes of Latin-1", ask("REGISTER", sender="<sip:\xe4@\xf6>;tag=1")
    yield "a long user", ask("REGISTER", sender=f"<sip:{'a' * 500}@nm>;tag=1")
    yield "friendly scanner", ask("REGISTER", more=["User-Agent: friendly-scanner"])


def sip_both():
    for name, sent in messages("UDP"):
        yield {**question(f"UDP {name}", sent, wait=0.5), "datagrams": True}
    for name, sent in {
        "without Content-Length": request("REGISTER", length=None),
        "Content-Length too large": request("REGISTER", length="10"),
        "Content-Length too small": request("REGISTER", length="1", body="abc"),
        "Content-Length x": request("REGISTER", length="x"),
        "Content-Length -1": request("REGISTER", length="-1"),
        "bare line feeds": request("REGISTER", end="\n"),
        "bare carriage returns": request("REGISTER", end="\r"),
        "line ends before it": b"\r\n\r\n" + request("REGISTER"),
        "no empty line": request("REGISTER")[:-2],
        "no end of the last line": request("REGISTER")[:-4],
        "keep-alive": b"\r\n\r\n",
        "half a keep-alive": b"\r\n",
        "zeros": bytes(4),
        "nothing": b"",
        "hello": b"hello\r\n\r\n",
        "GET": b"GET / HTTP/1.0\r\n\r\n",
        "GET with Via": b"GET / HTTP/1.1\r\nHost: nm\r\nVia: SIP/2.0/UDP nm\r\n\r\n",
        "only a first line": b"OPTIONS sip:nm SIP/2.0\r\n\r\n",
        "bytes": bytes(range(256)),
    }.items():
        yield {**question(f"UDP {name}", sent, wait=0.5), "datagrams": True}
    for name, sent in messages("TCP"):
        yield question(f"TCP {name}", sent)
    register = request("REGISTER", via="SIP/2.0/TCP nm;branch=z9hG4bKfoo;rport")
    for name, steps in {
        "two at once": [register + register],
        "one after the other": [register, register],
        "in pieces": [register[:50], register[50:170], register[170:]],
        "keep-alive": [b"\r\n\r\n"],
        "two keep-alives": [b"\r\n\r\n\r\n\r\n"],
        "half a keep-alive": [b"\r\n"],
        "half a keep-alive and its half": [b"\r\n", b"\r\n"],
        "three line ends": [b"\r\n\r\n\r\n"],
        "line feeds": [b"\n\n\n\n"],
        "keep-alive before a request": [b"\r\n\r\n" + register],
        "keep-alive between requests": [register + b"\r\n\r\n" + register],
        "without Content-Length": [request("REGISTER", length=None)],
        "body": [request("REGISTER", length="4", body="abcd") + register],
        "body to come": [request("REGISTER", length="4", body="ab"), b"cd"],
        "Content-Length x": [request("REGISTER", length="x")],
        "Content-Length -1": [request("REGISTER", length="-1")],
        "Content-Length 100000000": [request("REGISTER", length="100000000")],
        "bare line feeds": [request("REGISTER", end="\n")],
        "hello": [b"hello\r\n\r\n"],
        "GET": [b"GET / HTTP/1.0\r\n\r\n"],
        "GET with Via": [b"GET / HTTP/1.1\r\nHost: nm\r\nVia: SIP/2.0/TCP nm\r\n\r\n"],
        "only a first line": [b"OPTIONS sip:nm SIP/2.0\r\n\r\n"],
        "zeros": [bytes(4)],
        "bytes": [bytes(range(256))],
        "TLS": [b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"],
        "hello and no more": [b"hello"],
        "blank first": [b" OPTIONS sip:nm SIP/2.0\r\n\r\n"],
    }.items():
        yield question(f"TCP {name}", *steps)
        yield question(f"TCP {name}, closed", *steps, finish=True)
