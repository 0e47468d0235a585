# SPDX-License-Identifier: BSL-1.0
. "$LIBRARY"
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("a.sock")'
show 'tidewait why ./a.sock'
