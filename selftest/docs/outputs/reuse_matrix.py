# SPDX-License-Identifier: BSL-1.0
"""What a second bind says: by what is on the port, and by the options of both sockets."""
import ctypes
import os
import socket

ADDRESS = ("127.0.0.1", 8080)
CLONE_NEWNET = 0x40000000
NONE, ADDR, PORT = (), (socket.SO_REUSEADDR,), (socket.SO_REUSEPORT,)


def made(kind, options):
    new = socket.socket(socket.AF_INET, kind)
    for option in options:
        new.setsockopt(socket.SOL_SOCKET, option, 1)
    return new


def bound(options, kind=socket.SOCK_STREAM):
    old = made(kind, options)
    old.bind(ADDRESS)
    return [old]


def listener(options):
    (old,) = bound(options)
    old.listen()
    return [old]


def connected(options):
    (server,) = listener(options)
    client = socket.create_connection(ADDRESS)
    return server, server.accept()[0], client


def connection(options):
    server, peer, client = connected(options)
    server.close()
    return [peer, client]


def time_wait(options):
    server, peer, client = connected(options)
    peer.close()
    client.recv(1)
    client.close()
    server.close()
    return []


def udp(options):
    return bound(options, socket.SOCK_DGRAM)


def second(kind, options):
    new = made(kind, options)
    try:
        new.bind(ADDRESS)
    except OSError:
        return "fails"
    try:
        if kind == socket.SOCK_STREAM:
            new.listen()
    except OSError:
        return "listen() fails"
    return "succeeds"


def answer(state, old, new):
    """In a process and a network namespace of its own: a TIME_WAIT stays for a minute."""
    ends = os.pipe()
    if os.fork() == 0:
        ctypes.CDLL(None).unshare(CLONE_NEWNET)
        os.system("ip link set lo up")
        keep = state(old)  # open until the bind
        kind = socket.SOCK_DGRAM if state is udp else socket.SOCK_STREAM
        os.write(ends[1], second(kind, new).encode())
        os._exit(0 if keep is not None else 1)
    os.wait()
    return os.read(ends[0], 100).decode()


columns = [("neither", NONE, NONE), ("SO_REUSEADDR new only", NONE, ADDR),
           ("SO_REUSEADDR both", ADDR, ADDR), ("SO_REUSEPORT both", PORT, PORT)]
rows = [("a listener", listener), ("bound, not listening", bound), ("an open connection", connection),
        ("TIME_WAIT", time_wait), ("UDP socket", udp)]
layout = "{:<21} {:<15} {:<22} {:<18} {}"
print(layout.format("on the port already", *(name for name, _, _ in columns)))
for name, state in rows:
    print(layout.format(name, *(answer(state, old, new) for _, old, new in columns)))
