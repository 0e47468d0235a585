# SPDX-License-Identifier: BSL-1.0
. "$LIBRARY"
start python3 server.py listen 127.0.0.1 8080
tools 8080 127.0.0.1:8080
