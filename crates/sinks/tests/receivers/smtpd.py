"""A real mail server (aiosmtpd) for the tests: prints its port, then each mail as a line of JSON."""

import email
import email.policy
import json
import ssl
import sys
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult


class Printer:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        attachments = [part.get_content() for part in message.iter_attachments()]
        line = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": server.transport.get_extra_info("sslcontext") is not None,
            "login": session.auth_data,
            "headers": {name.lower(): str(value) for name, value in message.items()},
            "defects": [repr(defect) for defect in message.defects],
            "text": message.get_body(("plain",)).get_content(),
            "attachments": [a.decode() if isinstance(a, bytes) else a for a in attachments],
        }
        print(json.dumps(line), flush=True)
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    right = data.login == b"canary" and data.password == "pä55 word".encode()
    return AuthResult(success=right, handled=False, auth_data=data.login.decode() if right else None)


def main(mode, certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    wishes = {"plain": {}, "starttls": {"tls_context": context, "require_starttls": True}, "tls": {}}[mode]
    wishes["auth_required"] = mode != "plain"
    wishes["authenticator"] = authenticate
    if mode == "tls":
        wishes["auth_require_tls"] = False

    class Server(Controller):
        def factory(self):
            return SMTP(self.handler, hostname="mail.test", decode_data=False, **wishes)

    server = Server(Printer(), hostname="127.0.0.1", port=0, ssl_context=context if mode == "tls" else None)
    # The controller knocks at its own port to see whether it is up: that needs a port known before.
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server.port = free.getsockname()[1]
    server.start()
    print(server.port, flush=True)
    # Until the test closes our input.
    sys.stdin.read()
    time.sleep(0)
    server.stop()


main(*sys.argv[1:])
