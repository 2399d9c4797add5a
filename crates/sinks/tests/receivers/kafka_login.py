"""A door before a Kafka broker for the tests: TLS if it has a certificate, and logins by PLAIN and SCRAM (RFC 5802),
for which the broker itself has no users. Everything after the login goes on to the broker."""

import asyncio
import base64
import hashlib
import hmac
import os
import ssl
import struct
import sys

USERNAME, PASSWORD = "canary", b"s3cret,=x"
MECHANISMS = {"PLAIN": None, "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
HANDSHAKE, VERSIONS, AUTHENTICATE = 17, 18, 36
REFUSED, UNKNOWN_MECHANISM = 58, 33


def text(value):
    return struct.pack("!h", len(value)) + value.encode()


async def frame(reader):
    (length,) = struct.unpack("!i", await reader.readexactly(4))
    return await reader.readexactly(length)


def send(writer, payload):
    writer.write(struct.pack("!i", len(payload)) + payload)


class Login:
    """The server's side of one login."""

    def __init__(self, mechanism):
        self.digest = MECHANISMS[mechanism]
        self.bare = self.first = None
        self.salt = os.urandom(16)
        self.done = False

    def answer(self, message):
        """What to say to that, or None for no."""
        if self.digest is None:
            self.done = message == b"\0canary\0" + PASSWORD
            return b"" if self.done else None
        if self.first is None:
            if not message.startswith(b"n,,n=" + USERNAME.encode() + b",r="):
                return None
            self.bare = message[3:]
            nonce = self.bare.split(b",r=")[1] + base64.b64encode(os.urandom(9))
            self.first = b"r=" + nonce + b",s=" + base64.b64encode(self.salt) + b",i=4096"
            return self.first
        end, proof = message.rsplit(b",p=", 1)
        if end != b"c=biws," + self.first.split(b",")[0]:
            return None
        salted = hashlib.pbkdf2_hmac(self.digest, PASSWORD, self.salt, 4096)
        mac = lambda key, text: hmac.new(key, text, self.digest).digest()
        signed = b",".join([self.bare, self.first, end])
        key = mac(salted, b"Client Key")
        signature = mac(hashlib.new(self.digest, key).digest(), signed)
        if base64.b64decode(proof) != bytes(a ^ b for a, b in zip(key, signature)):
            return None
        self.done = True
        return b"v=" + base64.b64encode(mac(mac(salted, b"Server Key"), signed))


async def pipe(reader, writer):
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.close()


async def serve(reader, writer, port):
    broker = await asyncio.open_connection("127.0.0.1", port)
    login = None
    try:
        while login is None or not login.done:
            request = await frame(reader)
            key, version, number = struct.unpack("!hhi", request[:8])
            (length,) = struct.unpack("!h", request[8:10])
            body = request[10 + max(length, 0) :]
            head = struct.pack("!i", number)
            if key == VERSIONS:
                send(broker[1], request)
                send(writer, await frame(broker[0]))
            elif key == HANDSHAKE:
                mechanism = body[2:].decode()
                known = mechanism in MECHANISMS
                login = Login(mechanism) if known else None
                names = b"".join(text(name) for name in MECHANISMS)
                send(writer, head + struct.pack("!hi", 0 if known else UNKNOWN_MECHANISM, 3) + names)
            elif key == AUTHENTICATE and login is not None:
                answer = login.answer(body[4:])
                code = 0 if answer is not None else REFUSED
                answer = answer or b""
                lifetime = struct.pack("!q", 0) if version > 0 else b""
                send(writer, head + struct.pack("!h", code) + text("") + struct.pack("!i", len(answer)) + answer + lifetime)
                if code:
                    break
            else:
                break
            await writer.drain()
        else:
            await asyncio.gather(pipe(reader, broker[1]), pipe(broker[0], writer))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        broker[1].close()
        writer.close()


async def main(port, broker, certificate=None, key=None):
    tls = None
    if certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate, key)
    server = await asyncio.start_server(lambda r, w: serve(r, w, int(broker)), "127.0.0.1", int(port), ssl=tls)
    print(port, flush=True)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
