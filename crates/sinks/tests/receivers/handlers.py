"""What OpenCanary's own handlers send for a message: its Slack and Teams handlers, and Python's HTTPHandler.

Run with a Python that has OpenCanary 0.9.9; reads messages, one a line, and prints for each the bodies as JSON."""

import http.server
import json
import logging
import logging.handlers
import sys
import threading

from opencanary.logger import SlackHandler, TeamsHandler

seen = []


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        seen.append(self.rfile.read(int(self.headers["content-length"])).decode())
        self.send_response(202 if self.path == "/teams" else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
host = "127.0.0.1:%d" % server.server_port
handlers = [
    ("slack", SlackHandler(webhook_url="http://%s/slack" % host)),
    ("teams", TeamsHandler(webhook_url="http://%s/teams" % host)),
    ("form", logging.handlers.HTTPHandler(host, "/form", "POST")),
]
for line in map(str.rstrip, sys.stdin):
    bodies = {"message": line}
    for name, handler in handlers:
        seen.clear()
        logger = logging.getLogger("canary-1")
        logger.handlers, logger.propagate = [handler], False
        logger.warning(line)
        bodies[name] = seen[0]
    print(json.dumps(bodies), flush=True)
