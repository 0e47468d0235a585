# SPDX-License-Identifier: BSL-1.0
. "$LIBRARY"
start python3 server.py listen 127.0.0.1 8080
python3 server.py close_first 127.0.0.1 9090 >/dev/null
show 'tidewait list'
