"""What is asked of a VNC server: every version and security type, answers whole and in pieces, and other protocols.

Lines are long here, as in questions.py.
"""


def question(name, *steps, finish=False, wait=1.2):
    waits = wait if isinstance(wait, list) else [wait] * len(steps)
    return {"name": name, "steps": list(steps), "finish": finish, "wait": waits}


def vnc():
    hello, answer = b"RFB 003.008\n", b"3" * 16
    versions = [b"003.003", b"003.004", b"003.005", b"003.006", b"003.007", b"003.008", b"003.009", b"003.010", b"003.130", b"003.889", b"003.999", b"003.000", b"003.002", b"002.002", b"000.000", b"001.008", b"004.000", b"004.001", b"005.000", b"010.003", b"999.999"]
    for version in versions:
        shown = version.decode()
        yield question(f"version {shown}", b"", b"RFB " + version + b"\n")
        yield question(f"version {shown}, type 2, wrong", b"", b"RFB " + version + b"\n", b"\x02", answer)
    odd = {
        "lower case": b"rfb 003.008\n", "without LF": b"RFB 003.008 ", "CR": b"RFB 003.008\r", "CR LF": b"RFB 003.008\r\n", "signs": b"RFB +03.+08\n", "minus": b"RFB -03.-08\n", "blanks": b"RFB   3.  8\n", "letters": b"RFB abc.def\n", "hex": b"RFB 0x3.0x8\n", "short": b"RFB 3.8\n", "comma": b"RFB 003,008\n", "two dots": b"RFB 003..08\n", "one blank more": b"RFB  03.008\n", "NULs": bytes(12), "ones": b"\xff" * 12, "NUL in it": b"RFB 003\x00008\n", "NUL at the end": b"RFB 003.008\0", "eleven": b"RFB 003.008", "nothing but LF": b"\n" * 12, "digits after": b"RFB 003.0089", "tab": b"RFB\t003.008\n", "no blank": b"RFB0003.008\n", "letters after the minor": b"RFB 003.8xy\n", "letters after the major": b"RFB 3xy.008\n",
    }
    for name, data in odd.items():
        yield question(f"version: {name}", b"", data)
        yield question(f"version: {name}, then half-close", b"", data, finish=True)
    for number in [0, 1, 2, 5, 16, 17, 18, 19, 22, 30, 35, 129, 255]:
        yield question(f"3.8, type {number}", b"", hello, bytes([number]))
        yield question(f"3.7, type {number}", b"", b"RFB 003.007\n", bytes([number]))
    for version in (b"003.003", b"003.007", b"003.008"):
        shown, line = version.decode(), b"RFB " + version + b"\n"
        choice = [] if version == b"003.003" else [b"\x02"]
        for name, data in {"zeros": bytes(16), "ones": b"\xff" * 16, "letters": b"abcdefghijklmnop", "more behind": answer + b"\x01", "much behind": answer * 20}.items():
            yield question(f"{shown}, answer {name}", b"", line, *choice, data)
        yield question(f"{shown}, answer in sixteen pieces", b"", line, *choice, *[b"3"] * 16, wait=0.3)
        yield question(f"{shown}, answer cut at 15", b"", line, *choice, answer[:15])
        yield question(f"{shown}, answer cut at 15, then half-close", b"", line, *choice, answer[:15], finish=True)
        yield question(f"{shown}, nothing, then half-close", b"", line, *choice, b"", finish=True)
        yield question(f"{shown}, answer, then more", b"", line, *choice, answer, b"\x01", b"\x00\x00\x00\x00")
        yield question(f"{shown}, answer and half-close", b"", line, *choice, answer, finish=True)
        yield question(f"{shown}, version twice", b"", line + line)
        if choice:
            yield question(f"{shown}, version and type at once", b"", line + b"\x02", answer)
            yield question(f"{shown}, type twice", b"", line, b"\x02\x02")
            yield question(f"{shown}, half-close before the type", b"", line, b"", finish=True)
    for name, data in {"HTTP": b"GET / HTTP/1.0\r\n\r\n", "SSH": b"SSH-2.0-x\r\n", "TLS": bytes.fromhex("16030100a50100") + bytes(158), "one byte": b"R", "RDP": bytes.fromhex("030000130ee000000000000100080003000000"), "SMB": b"\0\0\0\x2f\xffSMBr" + bytes(42), "help": b"HELP\r\n", "line feeds": b"\r\n\r\n", "all bytes": bytes(range(256))}.items():
        yield question(f"raw {name}", b"", data)
        yield question(f"raw {name}, then half-close", b"", data, finish=True)
    yield question("half-close at once", b"", finish=True)
    yield question("version a byte at a time", b"", *[bytes([byte]) for byte in hello], wait=0.3)


def vnc_back_off():
    """To be asked one at a time (`--jobs 1`) of a server that was just started."""
    for number in range(1, 9):
        yield question(f"connection {number}", b"")
