# SPDX-License-Identifier: BSL-1.0
. "$LIBRARY"
start python3 server.py udp 127.0.0.1 5353
show "netstat -anup | grep :5353"
echo
show "ss -Hanup 'sport = :5353'"
echo
show "lsof -nP -iUDP:5353"
echo
show "tidewait why --udp 127.0.0.1:5353"
