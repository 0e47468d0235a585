# SPDX-License-Identifier: BSL-1.0
# [test]
import os
import socket
import unittest


class Server(unittest.TestCase):
    def test_answers(self):
        port = int(os.environ["TIDEWAIT_PORT_0"])
        with socket.create_server(("127.0.0.1", port)) as server:
            client = socket.create_connection(("127.0.0.1", port))
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"hi")
                self.assertEqual(client.recv(2), b"hi")
                client.close()  # first: so no TIME_WAIT stays on the server's port
                self.assertEqual(peer.recv(1), b"")
# [test]
