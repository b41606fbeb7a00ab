#!/usr/bin/env python3
"""Blocks as they are announced, none missed: over an end of the server, and of this program, it goes on where it was.

feed.py [URL of a server] [file for the cursor]: Python 3.9 or later, the standard library alone, by server-sent events.
P2P_FEED_TOKEN has the token, where the server wants one.
"""

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request

url = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:9906"
file = sys.argv[2] if len(sys.argv) > 2 else "feed.cursor"
token = os.environ.get("P2P_FEED_TOKEN")


def load():
    try:
        with open(file) as kept:
            cursor = kept.read()
    except FileNotFoundError:
        # The first time: it begins at now.
        return ""
    return cursor or sys.exit(f"{file} is empty")


def save(cursor):
    with open(f"{file}.new", "w") as kept:
        kept.write(cursor)
    os.replace(f"{file}.new", file)


def events(answer):
    """Name, id and data of each event of a stream, as https://html.spec.whatwg.org/multipage/server-sent-events.html has them."""
    fields = {}
    for line in answer:
        text = line.decode().rstrip("\r\n")
        name, _, value = text.partition(":")
        if name:
            fields[name] = value.removeprefix(" ")
        elif text == "" and "data" in fields:
            yield fields.get("event", "message"), fields.get("id", ""), fields["data"]
            fields = {}


while True:
    request = urllib.request.Request(f"{url}/events?kinds=block")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    cursor = load()
    if cursor:
        request.add_header("Last-Event-ID", cursor)
    try:
        # The server says something every 15 s.
        with urllib.request.urlopen(request, timeout=40) as answer:
            for name, cursor, data in events(answer):
                frame = json.loads(data)
                if name == "block":
                    print(f"block {frame.get('height')} {frame.get('hash')}", flush=True)
                elif name in ("info", "error"):
                    print(f"{frame['code']}: {frame['text']}", file=sys.stderr)
                # When it has been handled: what was at hand at an end comes again.
                if cursor:
                    save(cursor)
    except urllib.error.HTTPError as error:
        # What is wrong with the question does not pass.
        if error.code in (400, 401, 403, 404, 410):
            sys.exit(error.read().decode())
        print(error, file=sys.stderr)
    except (OSError, http.client.HTTPException) as error:
        print(error, file=sys.stderr)
    time.sleep(1)
