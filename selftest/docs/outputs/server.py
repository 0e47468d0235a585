# SPDX-License-Identifier: BSL-1.0
"""server.py WHAT ADDRESS PORT: puts a port into the state WHAT, says so, and waits. any6: the address ::"""
import os
import socket
import sys
import time

what, address, port = sys.argv[1], sys.argv[2].replace("any6", "::"), int(sys.argv[3])
family = socket.AF_INET6 if ":" in address else socket.AF_INET


def listening(*options):
    server = socket.socket(family)
    for option in options:
        server.setsockopt(socket.SOL_SOCKET, option, 1)
    server.bind((address, port))
    server.listen()
    return server


if what == "listen":
    keep = listening(socket.SO_REUSEADDR)
elif what == "bind":
    keep = socket.socket(family)
    keep.bind((address, port))
elif what == "udp":
    keep = socket.socket(family, socket.SOCK_DGRAM)
    keep.bind((address, port))
elif what == "share":
    keep = listening(socket.SO_REUSEPORT)
elif what == "close_first":
    server = listening()
    client = socket.create_connection((address, port))
    peer = server.accept()[0]
    peer.close()
    client.recv(1)
    client.close()
    server.close()
elif what == "connect_from":
    server = socket.create_server((address, 9090))
    keep = socket.socket(family)
    keep.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keep.bind((address, port))
    keep.connect(server.getsockname())
    peer = server.accept()[0]
elif what == "inherit":
    keep = listening(socket.SO_REUSEADDR)
    keep.set_inheritable(True)
    os.system("sleep 60 &")
    keep.close()

print("ready", flush=True)
time.sleep(0 if what in ("close_first", "inherit") else 60)
