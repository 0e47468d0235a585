# SPDX-License-Identifier: BSL-1.0
. "$LIBRARY"
cat >smoke.sh <<'END'
#!/bin/sh
python3 server.py listen 127.0.0.1 7777 >log &
tidewait wait 7777 --listening >/dev/null
END
chmod +x smoke.sh
show 'tidewait run -- ./smoke.sh'
