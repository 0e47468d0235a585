#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
#
# shell.sh BUILD WORK: runs the commands that docs/other-frameworks.md and docs/leases.md show.
set -euo pipefail
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
export PATH=$1/src/command:$PATH PYTHONDONTWRITEBYTECODE=1
rm -rf "$2"
mkdir -p "$2"
cd "$2"
cp "$here/test_server.py" .

# [ports]
tidewait run --ports 1 -- python3 -m unittest test_server.py
# [ports]

cat >smoke_test.py <<'END'
#!/usr/bin/env python3
import os, sys
assert sys.argv[1:] == ["--http", os.environ["TIDEWAIT_PORT_0"], "--admin", os.environ["TIDEWAIT_PORT_1"]]
END
chmod +x smoke_test.py
# [lease]
tidewait lease 2 -- ./smoke_test.py --http {port:0} --admin {port:1}
# [lease]

cat >server <<'END'
#!/bin/sh
test "$LISTEN_PID $1" = "$$ --its-arguments"
END
chmod +x server
# [exec]
/bin/sh -c 'LISTEN_PID=$$ exec "$@"' sh ./server --its-arguments
# [exec]
