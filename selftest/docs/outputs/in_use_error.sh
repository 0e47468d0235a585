# SPDX-License-Identifier: BSL-1.0
. "$LIBRARY"
start python3 server.py listen 127.0.0.1 8080
show "python3 -m http.server --bind 127.0.0.1 8080 2>&1 | tail -1"
