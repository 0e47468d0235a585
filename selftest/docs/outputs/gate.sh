# SPDX-License-Identifier: BSL-1.0
. "$LIBRARY"
export TIDEWAIT_RUN=0123456789abcdef
mkdir -m 700 runs
tidewait gate begin --runs runs
(export TIDEWAIT_TEST=Server.IsLeftRunning; python3 server.py listen 127.0.0.1 7777 >log & )
tidewait wait 7777 --listening >/dev/null
tidewait gate end --runs runs || true
