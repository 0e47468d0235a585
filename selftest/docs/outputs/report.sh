# SPDX-License-Identifier: BSL-1.0
# The journal was recorded from five runs of server.py, some of them at once.
. "$LIBRARY"
cp "$(dirname "$LIBRARY")"/ports.jsonl .
show 'tidewait report ports.jsonl -j 2'
