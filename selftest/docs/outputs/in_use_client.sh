# SPDX-License-Identifier: BSL-1.0
. "$LIBRARY"
start python3 server.py connect_from 127.0.0.1 40000
tools 40000 127.0.0.1:40000 ' | sort'
