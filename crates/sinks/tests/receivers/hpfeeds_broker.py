"""A real hpfeeds broker (PyPI hpfeeds) for the tests: prints its port, then each message that it took as JSON."""

import asyncio
import asyncio.sslproto
import json
import sys

from hpfeeds.broker.auth.memory import Authenticator
from hpfeeds.broker.server import Server

# Where the broker looks for the TLS object; Python 3.11 has it one step nearer.
if not hasattr(asyncio.sslproto.SSLProtocol, "_sslpipe"):
    asyncio.sslproto.SSLProtocol._sslpipe = property(lambda protocol: protocol)

KNOWN = {"canary": {"secret": "s3cret", "pubchans": ["alerts", "all"], "subchans": [], "owner": "ops"}}


class Printing(Server):
    def publish(self, source, chan, data):
        line = {"ident": source.ak, "channel": chan, "payload": bytes(data).decode()}
        print(json.dumps(line), flush=True)
        super().publish(source, chan, data)


async def main(port, certificate=None, key=None):
    server = Printing(Authenticator(KNOWN))
    # Else it shows its numbers to the whole network, on a port that only one broker can have.
    server.exporter = None
    server.add_endpoint_legacy(f"127.0.0.1:{port}", certificate, key)
    running = asyncio.ensure_future(server.serve_forever())
    await server.when_started
    print(server.endpoints[0]["port"], flush=True)
    await running


asyncio.run(main(*sys.argv[1:]))
