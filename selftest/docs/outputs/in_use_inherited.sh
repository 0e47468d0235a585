# SPDX-License-Identifier: BSL-1.0
. "$LIBRARY"
start python3 server.py inherit 127.0.0.1 8080
sleep 0.3
tools 8080 127.0.0.1:8080
