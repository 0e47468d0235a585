# SPDX-License-Identifier: BSL-1.0
"""Tests in another language, for `tidewait run --ports 1 -- python3 -m unittest`."""
import os
import socket
import subprocess
import sys
import unittest

PORT = int(os.environ["TIDEWAIT_PORT_0"])  # leased for this run, so that no other test has it


def start_server():
    """A server in a process of its own; returns it once it can be connected to."""
    code = ("import socket, sys; s = socket.socket(); s.bind(('127.0.0.1', int(sys.argv[1]))); "
            "s.listen(); print('ready', flush=True); sys.stdin.read()")
    server = subprocess.Popen([sys.executable, "-c", code, str(PORT)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    server.stdout.readline()
    return server


class Server(unittest.TestCase):
    def test_accepts(self):
        with start_server() as server:
            socket.create_connection(("127.0.0.1", PORT)).close()
            server.stdin.close()

    @unittest.skipUnless("FORGET" in os.environ, "shows what tidewait reports")
    def test_forgets_its_server(self):
        code = ("import socket, time; s = socket.socket(); s.bind(('127.0.0.1', %d)); "
                "s.listen(); print('ready', flush=True); time.sleep(600)")
        forgotten = subprocess.Popen([sys.executable, "-c", code % PORT], stdout=subprocess.PIPE)
        forgotten.stdout.readline()
