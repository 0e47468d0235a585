# SPDX-License-Identifier: BSL-1.0
. "$LIBRARY"
start python3 server.py listen any6 8080
tools 8080 0.0.0.0:8080
