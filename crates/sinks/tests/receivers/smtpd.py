"""A real mail server (aiosmtpd) for the tests: prints its port, then each mail as a line of JSON."""

import base64
import email
import email.policy
import json
import ssl
import sys
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, auth_mechanism


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


def bearer(proof):
    """Mailbox and token out of the message of XOAUTH2 or OAUTHBEARER."""
    fields = proof.decode().split("\x01")
    if proof.startswith(b"n,"):
        assert fields[1].startswith("host=") and fields[2].startswith("port="), fields
        user, token = fields[0].removeprefix("n,a=").rstrip(","), fields[3]
    else:
        user, token = fields[0].removeprefix("user="), fields[1]
    assert proof.endswith(b"\x01\x01") and token.startswith("auth=Bearer "), fields
    return user, token.removeprefix("auth=Bearer ")


class Tokens(SMTP):
    """Takes one mailbox's tokens that begin with "good", and no passwords; says why it does not take others."""

    async def by_token(self, args, denial):
        user, token = bearer(base64.b64decode(args[1]))
        print(json.dumps({"asked": args[0], "user": user, "token": token}), flush=True)
        if user == "canary@example.org" and token.startswith("good"):
            return AuthResult(success=True, auth_data=user)
        reason = base64.b64encode(
            json.dumps({"status": "400", "schemes": "Bearer", "scope": "https://mail.google.com/"}).encode()
        )
        answer = await self.challenge_auth(reason.decode(), encode_to_b64=False)
        assert answer == denial, answer
        await self.push("535 5.7.8 Username and Password not accepted")
        return AuthResult(success=False, handled=True)


class XOAuth2(Tokens):
    @auth_mechanism("XOAUTH2")
    async def auth_XOAUTH2(self, _, args):
        return await self.by_token(args, b"")


class OAuthBearer(Tokens):
    @auth_mechanism("OAUTHBEARER")
    async def auth_OAUTHBEARER(self, _, args):
        return await self.by_token(args, b"\x01")


def main(mode, certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    wishes = {"plain": {}, "starttls": {"tls_context": context, "require_starttls": True}, "tls": {}}.get(mode)
    kind = {"xoauth2": XOAuth2, "oauthbearer": OAuthBearer}.get(mode, SMTP)
    if wishes is None:
        wishes = {"tls_context": context, "require_starttls": True, "auth_exclude_mechanism": ["LOGIN", "PLAIN"]}
    wishes["auth_required"] = mode != "plain"
    wishes["authenticator"] = authenticate
    if mode == "tls":
        wishes["auth_require_tls"] = False

    class Server(Controller):
        def factory(self):
            return kind(self.handler, hostname="mail.test", decode_data=False, **wishes)

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
