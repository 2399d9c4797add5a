"""What is asked of a SIP server, over UDP and TCP: the methods, headers in every spelling, credentials, and what is no SIP.

Each question of the first list is one datagram; those of the second are connections.
"""

OWN = "127.0.0.1:15060"


def datagram(name, sent, wait=0.7):
    return {"name": name, "steps": [sent], "finish": False, "wait": [wait], "datagrams": True}


def connection(name, *steps, finish=False):
    return {"name": name, "steps": list(steps), "finish": finish, "wait": [0.7] * len(steps)}


def request(method, uri="sip:nm", via="SIP/2.0/UDP nm;branch=z9hG4bKfoo;rport", sender="<sip:nm@nm>;tag=root", to="<sip:nm2@nm2>",
            call="50000", cseq=None, forwards="70", extra="", length="0", body="", version="SIP/2.0", end="\r\n"):
    lines = [f"{method} {uri} {version}", via and f"Via: {via}", sender and f"From: {sender}", to and f"To: {to}",
             call and f"Call-ID: {call}", f"CSeq: {cseq or '42 ' + method}", forwards and f"Max-Forwards: {forwards}", extra,
             length and f"Content-Length: {length}", ""]
    return (end.join(line for line in lines[:-1] if line) + end * 2 + body).encode("latin1")


def digest(method="REGISTER", user="100", realm="nm", nonce="awWKgGsFiVTQ9twz56+TMEbx/yOj9o4Z", uri="sip:nm",
           response="0123456789abcdef0123456789abcdef", more="", header="Authorization"):
    return f'{header}: Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}"{more}'


SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n"
MINE = f"<sip:100@{OWN}>;tag=x1"
NMAP_TCP = (b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm;branch=foo\r\nFrom: <sip:nm@nm>;tag=root\r\nTo: <sip:nm2@nm2>\r\n"
            b"Call-ID: 50000\r\nCSeq: 42 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\nContact: <sip:nm@nm>\r\n"
            b"Accept: application/sdp\r\n\r\n")


def others():
    for method in ["OPTIONS", "REGISTER", "INVITE", "ACK", "BYE", "CANCEL", "SUBSCRIBE", "NOTIFY", "PUBLISH", "MESSAGE", "INFO",
                   "REFER", "UPDATE", "PRACK", "KDMQ", "FOO", "options"]:
        yield f"{method}", request(method)
        yield f"{method}, to tag", request(method, to="<sip:nm2@nm2>;tag=abc")
        yield f"{method} from here", request(method, sender=MINE, to="<sip:200@nm>", uri="sip:200@nm")


def spellings():
    udp = "SIP/2.0/UDP "
    vias = {
        "no rport": "nm;branch=z9hG4bKx", "port": "nm:5070;branch=z9hG4bKx;rport", "no branch": "nm;rport", "bare": "nm",
        "own address": "127.0.0.1;branch=z9hG4bKx;rport", "own address, no rport": "127.0.0.1:5060;branch=z9hG4bKx",
        "alias": "127.0.0.1:99;branch=z9hG4bKx;rport;alias", "received given": "nm;branch=z9hG4bKx;received=192.0.2.1;rport=7",
        "rport first": "nm;rport;branch=z9hG4bKx", "spaces": " nm ; rport ; branch = z9hG4bKx", "ttl and more": "nm;branch=z9hG4bKx;ttl=3;maddr=10.0.0.1;x=y",
        "IPv6": "[2001:db8::1]:5060;branch=z9hG4bKx;rport", "two": "nm;branch=z9hG4bKx;rport, SIP/2.0/UDP other;branch=z9hG4bKy",
        "comment": "nm;branch=z9hG4bKx (a comment)", "empty branch": "nm;branch=;rport",
        "upper RPORT": "nm;branch=z9hG4bKx;RPORT",
    }
    for name, via in vias.items():
        yield f"via {name}", request("OPTIONS", via=udp + via)
    yield "via TCP", request("OPTIONS", via="SIP/2.0/TCP nm;branch=z9hG4bKx;rport")
    yield "via WSS", request("OPTIONS", via="SIP/2.0/WSS nm.invalid;branch=z9hG4bKx;rport")
    yield "via of spaces", request("OPTIONS", via="SIP / 2.0 / UDP nm;branch=z9hG4bKx;rport")
    yield "via of version 1", request("OPTIONS", via="SIP/1.0/UDP nm;branch=z9hG4bKx;rport")
    yield "via nonsense", request("OPTIONS", via="nonsense")
    yield "two via fields", request("OPTIONS", extra="Via: SIP/2.0/UDP other;branch=z9hG4bKy")
    yield "via below", request("OPTIONS", via="", extra="Via: SIP/2.0/UDP other;branch=z9hG4bKy")
    for name, sender in {"name": '"A \\" B" <sip:nm@nm>;tag=root', "no brackets": "sip:nm@nm;tag=root", "no tag": "<sip:nm@nm>", "tel": "<tel:+123>;tag=1",
                         "nonsense": "nonsense", "empty uri": "<>;tag=1", "open": "<sip:nm@nm", "star": "*", "parameters": "<sip:nm@nm;x=y>;a=b;tag=root;c"}.items():
        yield f"from {name}", request("OPTIONS", sender=sender)
        yield f"register from {name}", request("REGISTER", sender=sender)
        to = sender.replace(";tag=root", "").replace(";tag=1", "")
        yield f"to {name}", request("OPTIONS", to=to)
        yield f"register to {name}", request("REGISTER", to=to)
    yield "to empty tag", request("OPTIONS", to="<sip:nm2@nm2>;tag=")
    yield "to parameter", request("OPTIONS", to="<sip:nm2@nm2>;x=y")
    yield "two to", request("OPTIONS", extra="To: <sip:other@nm>")
    yield "two from", request("OPTIONS", extra="From: <sip:other@nm>;tag=2")
    yield "two cseq", request("OPTIONS", extra="CSeq: 7 OPTIONS")
    yield "two length", request("OPTIONS", extra="Content-Length: 0")
    yield "two call-id", request("OPTIONS", extra="Call-ID: 2")
    for missing in ["via", "sender", "to", "call"]:
        yield f"without {missing}", request("OPTIONS", **{missing: ""})
        yield f"register without {missing}", request("REGISTER", **{missing: ""})
    for cseq in ["42 INVITE", "x OPTIONS", "42", "OPTIONS 42", "99999999999 OPTIONS", "42  OPTIONS", "0042 OPTIONS", "-1 OPTIONS", "42 options"]:
        yield f"cseq {cseq}", request("OPTIONS", cseq=cseq)
        yield f"register cseq {cseq}", request("REGISTER", cseq=cseq.replace("OPTIONS", "REGISTER").replace("options", "register"))
    for forwards in ["0", "1", "10", "11", "255", "256", "x", "-1", ""]:
        yield f"forwards {forwards or 'none'}", request("OPTIONS", forwards=forwards)
    for uri in ["sip:100@nm", "sip:100@nm:5060", "sip:127.0.0.1:15060", "sips:nm", "tel:+1234", "nm", "sip:", "sip:a b@nm", "sip:100@nm;transport=tcp", "http://nm/", "sip:100:pw@nm",
                "sip:@nm", "sip:[::1]", "*", "urn:service:sos"]:
        yield f"uri {uri}", request("OPTIONS", uri=uri)
        yield f"register uri {uri}", request("REGISTER", uri=uri)
    for version in ["SIP/1.0", "SIP/3.0", "sip/2.0", "SIP/2.0 ", "HTTP/1.1", "", "SIP/2.1"]:
        yield f"version {version or 'none'}", request("OPTIONS", version=version)
    yield "length missing", request("OPTIONS", length="")
    for length in ["5", "-1", "x", "99999999999", "0 ", "00"]:
        yield f"length {length}", request("OPTIONS", length=length)
        yield f"invite length {length}", request("INVITE", length=length)
    yield "body beyond length", request("INVITE", body=SDP)
    yield "bare LF", request("OPTIONS", end="\n")
    yield "bare CR", request("OPTIONS", end="\r")
    yield "ends early", request("OPTIONS")[:-2]
    yield "ends in a line", request("OPTIONS")[:-9]
    yield "first line alone", b"OPTIONS sip:nm SIP/2.0\r\n\r\n"
    yield "folded", request("OPTIONS", extra="Subject: one\r\n  two\r\n\tthree")
    yield "folded to", request("OPTIONS", to="\r\n  <sip:nm2@nm2>")
    yield "folded via", request("OPTIONS", via="SIP/2.0/UDP\r\n  nm;branch=z9hG4bKx;rport")
    yield "space before colon", request("OPTIONS").replace(b"To: ", b"To : ").replace(b"Call-ID: ", b"Call-ID\t:")
    yield "no space behind colon", request("OPTIONS").replace(b": ", b":")
    yield "lower case", request("OPTIONS").replace(b"Via", b"via").replace(b"From", b"from").replace(b"To:", b"to:").replace(b"Call-ID", b"call-id").replace(b"CSeq", b"cseq")
    yield "upper case", request("OPTIONS").replace(b"Via", b"VIA").replace(b"From", b"FROM").replace(b"To:", b"TO:").replace(b"Call-ID", b"CALL-ID").replace(b"CSeq", b"CSEQ")
    yield "compact", request("OPTIONS").replace(b"Via", b"v").replace(b"From", b"f").replace(b"To:", b"t:").replace(b"Call-ID", b"i").replace(b"Content-Length", b"l")
    yield "compact register", request("REGISTER").replace(b"Via", b"v").replace(b"From", b"f").replace(b"To:", b"t:").replace(b"Call-ID", b"i").replace(b"Content-Length", b"l")
    yield "line without colon", request("OPTIONS", extra="nonsense")
    yield "empty name", request("OPTIONS", extra=": x")
    yield "binary header", request("OPTIONS", extra="X: \xff\x01")
    yield "two spaces in the first line", request("OPTIONS ", uri=" sip:nm")
    yield "record-route", request("OPTIONS", extra="Record-Route: <sip:192.0.2.1;lr>")
    yield "record-route of invite", request("INVITE", extra="Record-Route: <sip:192.0.2.1;lr>")
    yield "route", request("INVITE", extra="Route: <sip:192.0.2.1;lr>")
    yield "require", request("OPTIONS", extra="Require: foo")
    yield "require of invite", request("INVITE", extra="Require: foo")
    yield "proxy-require of invite", request("INVITE", extra="Proxy-Require: foo")
    yield "expires nonsense", request("REGISTER", extra="Expires: x")
    yield "contact star", request("REGISTER", extra="Contact: *\r\nExpires: 0")
    yield "timestamp", request("OPTIONS", extra="Timestamp: 54.3")
    yield "timestamp of invite", request("INVITE", extra="Timestamp: 54.3")


def credentials():
    yield "digest", request("REGISTER", extra=digest())
    yield "digest of another realm", request("REGISTER", extra=digest(realm="asterisk"))
    yield "digest with qop", request("REGISTER", extra=digest(more=', qop=auth, nc=00000001, cnonce="abc", algorithm=MD5'))
    yield "digest sha256", request("REGISTER", extra=digest(more=", algorithm=SHA-256"))
    yield "digest broken", request("REGISTER", extra="Authorization: Digest nonsense")
    yield "digest empty user", request("REGISTER", extra=digest(user=""))
    yield "digest short response", request("REGISTER", extra=digest(response="1234"))
    yield "digest short nonce", request("REGISTER", extra=digest(nonce="1234"))
    yield "digest of invite", request("INVITE", sender=MINE, extra=digest(header="Proxy-Authorization", realm="127.0.0.1"))
    yield "digest of invite in the wrong field", request("INVITE", sender=MINE, extra=digest(realm="127.0.0.1"))
    yield "basic", request("REGISTER", extra="Authorization: Basic MTAwOjEwMA==")


def noise():
    yield "junk", b"hello\r\n\r\n"
    yield "keep-alive", b"\r\n\r\n"
    yield "one line end", b"\r\n"
    yield "nul", b"\0"
    yield "four nuls", b"\0\0\0\0"
    yield "GET", b"GET / HTTP/1.0\r\n\r\n"
    yield "line ends before", b"\r\n\r\n" + request("OPTIONS")
    yield "response", b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP nm;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: 9\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    yield "binary", bytes(range(256))
    yield "STUN", bytes.fromhex("000100002112a442") + b"0123456789ab"
    yield "RTP", bytes.fromhex("80000001000000010000000a") + b"\xd5" * 20
    yield "long header", request("OPTIONS", extra="X: " + "y" * 3000)
    yield "many headers", request("OPTIONS", extra="\r\n".join(f"X-{at}: {at}" for at in range(200)))
    yield "long uri", request("OPTIONS", uri="sip:" + "a" * 1500 + "@nm")


def connections():
    options = request("OPTIONS", via="SIP/2.0/TCP nm;branch=z9hG4bKfoo;rport")
    yield connection("nmap over TCP", NMAP_TCP)
    yield connection("options over TCP", options)
    yield connection("options over TCP, closed", options, finish=True)
    yield connection("two at once", options + options.replace(b"42 OPTIONS", b"43 OPTIONS"))
    yield connection("two after another", options, options.replace(b"42 OPTIONS", b"43 OPTIONS"))
    yield connection("in pieces", options[:30], options[30:150], options[150:])
    yield connection("register over TCP", request("REGISTER", via="SIP/2.0/TCP nm;branch=z9hG4bKfoo"))
    yield connection("register twice", request("REGISTER", via="SIP/2.0/TCP nm;branch=z9hG4bKfoo"), request("REGISTER", via="SIP/2.0/TCP nm;branch=z9hG4bKfoo", extra=digest()))
    yield connection("invite with a body", request("INVITE", via="SIP/2.0/TCP nm;branch=z9hG4bKfoo", length=str(len(SDP)), body=SDP) + options)
    yield connection("invite with a late body", request("INVITE", via="SIP/2.0/TCP nm;branch=z9hG4bKfoo", length=str(len(SDP))), SDP.encode())
    yield connection("keep-alive over TCP", b"\r\n\r\n")
    yield connection("keep-alive twice", b"\r\n\r\n", b"\r\n\r\n")
    yield connection("two keep-alives at once", b"\r\n\r\n\r\n\r\n")
    yield connection("keep-alive before", b"\r\n\r\n" + options)
    yield connection("a line end", b"\r\n", options)
    yield connection("bare LF over TCP", request("OPTIONS", end="\n"))
    yield connection("no length over TCP", request("OPTIONS", length="", via="SIP/2.0/TCP nm;branch=z9hG4bKfoo"))
    yield connection("no length, two", request("OPTIONS", length="", via="SIP/2.0/TCP nm;branch=z9hG4bKfoo") * 2)
    yield connection("length nonsense over TCP", request("OPTIONS", length="x"))
    yield connection("length negative over TCP", request("OPTIONS", length="-1"))
    yield connection("length huge over TCP", request("OPTIONS", length="99999999999"))
    yield connection("junk over TCP", b"hello\r\n\r\n")
    yield connection("junk, no end", b"hello\r\n")
    yield connection("GET over TCP", b"GET / HTTP/1.0\r\n\r\n")
    yield connection("GET with length over TCP", b"GET / HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
    yield connection("binary over TCP", bytes(range(256)))
    yield connection("TLS over TCP", bytes.fromhex("16030100a5010000a10303") + b"\1" * 160)
    yield connection("no via over TCP", request("OPTIONS", via=""))
    yield connection("no cseq over TCP", options.replace(b"CSeq", b"X"))
    yield connection("nothing, closed", b"", finish=True)
    yield connection("half, closed", options[:100], finish=True)
    yield connection("ack over TCP", request("ACK", via="SIP/2.0/TCP nm;branch=z9hG4bKfoo"), options)
    yield connection("response over TCP", b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP nm;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: 9\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")


def sip():
    for part in [others, spellings, credentials, noise]:
        for name, sent in part():
            yield datagram(name, sent)
    yield from connections()
