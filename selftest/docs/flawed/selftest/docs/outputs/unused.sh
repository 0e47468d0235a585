# SPDX-License-Identifier: BSL-1.0
echo '$ echo 8080 pid 1234'
echo "8080 pid $$"
