"""Sends what OpenCanary's WebhookHandler sends for a message: with Python's requests, from its own arguments.

Reads one JSON object a line: url, message and the handler's arguments. Prints the status."""

import json
import sys

import requests


def filled(data, message):
    if isinstance(data, dict):
        return {key: filled(value, message) for key, value in data.items()}
    if isinstance(data, list):
        return [filled(value, message) for value in data]
    return data % {"message": message} if isinstance(data, str) else data


for line in sys.stdin:
    arguments = json.loads(line)
    message = arguments.pop("message")
    data = filled(arguments.pop("data", {"message": "%(message)s"}), message)
    if "auth" in arguments:
        arguments["auth"] = tuple(arguments["auth"])
    is_json = "application/json" in arguments.get("headers", {}).values() and not isinstance(data, str)
    with requests.Session() as session:
        session.trust_env = False
        response = session.request(**arguments, **{"json" if is_json else "data": data})
    print(response.status_code, flush=True)
