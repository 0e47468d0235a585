# SPDX-License-Identifier: BSL-1.0
. "$LIBRARY"
python3 server.py close_first 127.0.0.1 8080 >/dev/null
tools 8080 127.0.0.1:8080
