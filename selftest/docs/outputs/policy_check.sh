# SPDX-License-Identifier: BSL-1.0
. "$LIBRARY"
show "tidewait policy check 'time_wait; test=\"name, rest\"+listen; port=8000-8010'"
show "tidewait policy check 'listen+bound'"
