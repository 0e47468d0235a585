#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""list_beside_ss.py <tidewait.exe> <server.exe> <directory>

Compares `tidewait.exe list` under Wine with `ss` of the host and with Wine's netstat, socket by socket,
in a network namespace with sockets of many kinds, of the host and of a Windows program. The directory is for Wine's registry
and server, which this test has for itself: they stay in the namespace that they were started in.

Exit code 77: a network namespace cannot be had here.
"""

import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys

NAMES = {
    "ESTAB": "ESTABLISHED", "SYN-SENT": "SYN_SENT", "SYN-RECV": "SYN_RECV",
    "FIN-WAIT-1": "FIN_WAIT1", "FIN-WAIT-2": "FIN_WAIT2", "TIME-WAIT": "TIME_WAIT",
    "CLOSE-WAIT": "CLOSE_WAIT", "LAST-ACK": "LAST_ACK",
}


def enter_namespace():
    """Runs this script again in a network namespace of its own."""
    if os.environ.get("SELFTEST_IN_NAMESPACE") == "1":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    if subprocess.run(unshare + ["true"], stderr=subprocess.DEVNULL).returncode != 0:
        print("no network namespace: the test is skipped")
        sys.exit(77)
    os.environ["SELFTEST_IN_NAMESPACE"] = "1"
    os.execvp(unshare[0], unshare + [sys.executable] + sys.argv)


def endpoint(address, port):
    """(address, port); "*" and a port that is not there become what the other program says."""
    address = address.strip("[]").split("%")[0]
    if address == "*":
        address = "::"
    number = 0 if port in ("*", None) else int(port)
    return str(ipaddress.ip_address(address)), number


def split(text):
    address, port = text.rsplit(":", 1)
    return endpoint(address, port)


def no_peer(family_of):
    return ("::" if ":" in family_of else "0.0.0.0", 0)


def from_ss():
    found = set()
    for line in subprocess.check_output(["ss", "-Htuan"], text=True).splitlines():
        protocol, state, _, _, local, peer = line.split()[:6]
        if protocol == "tcp" and state == "UNCONN":
            continue  # bound and not listening: no table of Windows has it
        here = split(local)
        there = split(peer) if not peer.endswith(":*") else no_peer(here[0])
        if protocol == "udp":
            state, there = "UNCONN", no_peer(here[0])  # the table of Windows knows no peer of UDP
        found.add((protocol, NAMES.get(state, state), here, there))
    return found


# Wine's netstat shows of TCP only these, and nothing of IPv6.
IN_NETSTAT = {"ESTABLISHED", "CLOSE_WAIT", "TIME_WAIT", "UNCONN"}


def from_netstat():
    found = set()
    text = subprocess.check_output(["wine", "netstat", "-a", "-n"], text=True)
    for line in text.splitlines():
        words = line.split()
        if len(words) < 3 or words[0] not in ("TCP", "UDP"):
            continue
        there = no_peer("0.0.0.0") if words[2] == "*:*" else split(words[2])
        state = words[3] if len(words) > 3 else "UNCONN"
        found.add((words[0].lower(), state, split(words[1]), there))
    return found


def from_tidewait(command):
    answer = json.loads(subprocess.check_output(command, text=True))
    found = set()
    for each in answer["sockets"]:
        here = endpoint(each["local"]["address"], each["local"]["port"])
        remote = each["remote"]
        there = endpoint(remote["address"], remote["port"]) if remote else no_peer(here[0])
        found.add((each["protocol"], each["state"], here, there))
    return found, answer


def listener(family, address):
    made = socket.socket(family, socket.SOCK_STREAM)
    made.bind((address, 0))
    made.listen()
    return made


def datagram(family, address):
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.bind((address, 0))
    return made


def main():
    tidewait, server, prefix = sys.argv[1:4]
    enter_namespace()
    shutil.rmtree(prefix, ignore_errors=True)
    os.environ.update(WINEPREFIX=prefix, WINEDEBUG="-all", WINEDLLOVERRIDES="mscoree,mshtml=")
    running = subprocess.Popen(["wine", server, "listen"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    port = int(running.stdout.readline())  # Wine is up: some of what follows lasts a minute
    try:
        held = [listener(socket.AF_INET, "127.0.0.1"), listener(socket.AF_INET, "0.0.0.0"),
                listener(socket.AF_INET6, "::1"), datagram(socket.AF_INET, "127.0.0.1"),
                datagram(socket.AF_INET6, "::1")]
        for each in held[:1] + held[2:3]:
            client = socket.create_connection(each.getsockname()[:2])
            accepted, _ = each.accept()
            held += [client, accepted]
        waiting = socket.create_connection(held[0].getsockname())
        accepted, _ = held[0].accept()
        accepted.close()  # TIME_WAIT on the server's side
        waiting.recv(1)
        waiting.close()
        half = socket.create_connection(held[0].getsockname())
        accepted, _ = held[0].accept()
        accepted.close()  # FIN_WAIT2 and CLOSE_WAIT
        half.recv(1)
        held.append(half)
        before = from_ss()
        ours, answer = from_tidewait(["wine", tidewait, "list", "--json"])
        netstat = from_netstat()
        there = before & from_ss()  # what has not ended meanwhile
    finally:
        running.stdin.close()
        running.wait(60)
        subprocess.run(["wineserver", "--wait"], check=True)
        shutil.rmtree(prefix, ignore_errors=True)
    kinds = {(protocol, state) for protocol, state, _, _ in there}
    passed = before - there
    ours, netstat = ours - passed, netstat - passed
    for row in sorted(there | ours | netstat):
        marks = [name for name, rows in (("ss", there), ("list", ours), ("netstat", netstat)) if row in rows]
        print(f"{' '.join(marks):16} {row[0]} {row[1]:12} {row[2][0]}:{row[2][1]} {row[3][0]}:{row[3][1]}")
    assert len(kinds) >= 6, f"too few kinds of sockets to compare: {kinds}"
    assert there == ours, "ss and tidewait.exe list differ"
    shown = {row for row in ours if row[1] in IN_NETSTAT and ":" not in row[2][0]}
    assert len(shown) >= 4, "too few sockets to compare with netstat"
    assert shown == netstat, "netstat and tidewait.exe list differ"
    of_server = [each for each in answer["sockets"] if each["local"]["port"] == port]
    names = [owner["name"] for each in of_server for owner in each["owners"]]
    assert names == [os.path.basename(server)], f"held by {names}"
    print(f"{len(ours)} sockets of {len(kinds)} kinds, the same in ss, and {len(netstat)} of them in netstat")


main()
