# SPDX-License-Identifier: Apache-2.0
"""Requests to one master that lie in its sockets until it reads them: petitions.py --master HOST:PORT --ca F --cert F --key F
REQUESTS, a file with a list of [path, body].

A program of its own, so that it can run on a host of tests/lib/network.py. Each request has a connection of its own, made
before; "ready" is printed then. They are sent when a line comes on standard input, which prints "sent"; at last comes a list
of their answers' statuses, null where there was none."""
import argparse
import http.client
import json
import ssl
import sys
import threading

ANSWER_S = 30


def main():
    options = argparse.ArgumentParser()
    for name in ("--master", "--ca", "--cert", "--key"):
        options.add_argument(name, required=True)
    options.add_argument("requests")
    o = options.parse_args()
    with open(o.requests) as f:
        requests = json.load(f)
    context = ssl.create_default_context(cafile=o.ca)
    context.load_cert_chain(o.cert, o.key)
    host, _, port = o.master.rpartition(":")
    connections = [http.client.HTTPSConnection(host, int(port), timeout=ANSWER_S, context=context) for _ in requests]
    for connection in connections:
        connection.connect()
    print("ready", flush=True)
    sys.stdin.readline()
    statuses = [None] * len(requests)

    def send(n):
        path, body = requests[n]
        try:
            connections[n].request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        except OSError:
            connections[n].close()

    def read(n):
        try:
            statuses[n] = connections[n].getresponse().status
        except (OSError, http.client.HTTPException):
            pass

    for n in range(len(requests)):
        send(n)
    print("sent", flush=True)
    readers = [threading.Thread(target=read, args=(n,)) for n in range(len(requests))]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    print(json.dumps(statuses), flush=True)


main()
