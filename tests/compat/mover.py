# SPDX-License-Identifier: Apache-2.0
"""One kazoo client that tells what it sees: mover.py HOST:PORT,... Commands on standard input, one answer each as JSON.

    make PATH, make-ephemeral PATH, watch PATH, session, server, seen, states, close"""
import json
import logging
import sys

from kazoo.client import KazooClient

SECONDS = 60


def main():
    logging.disable(logging.CRITICAL)
    client = KazooClient(sys.argv[1], timeout=8, randomize_hosts=False)
    states, seen = [], []
    client.add_listener(lambda state: states.append(str(state)))
    client.start(SECONDS)

    def watch(path):
        client.DataWatch(path, lambda data, stat: seen.append(data.decode()))

    commands = {
        "make": lambda path: client.retry(client.create, path, b"new"),
        "make-ephemeral": lambda path: client.retry(client.create, path, b"", None, True),
        "watch": watch,
        "session": lambda: client.client_id[0],
        "server": lambda: client._connection._socket.getpeername()[0],
        "seen": lambda: seen,
        "states": lambda: states,
        "close": client.stop,
    }
    for line in sys.stdin:
        name, *words = line.split()
        print(json.dumps(commands[name](*words)), flush=True)


if __name__ == "__main__":
    main()
