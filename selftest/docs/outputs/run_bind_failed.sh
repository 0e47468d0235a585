# SPDX-License-Identifier: BSL-1.0
. "$LIBRARY"
start env TIDEWAIT_TEST=Cache.Evicts python3 server.py listen 127.0.0.1 8080
show 'tidewait run --witness -- python3 server.py listen 127.0.0.1 8080 2>&1 | sed -n "/^tidewait/,\$p"'
