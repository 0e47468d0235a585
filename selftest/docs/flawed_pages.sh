#!/bin/sh
# SPDX-License-Identifier: BSL-1.0
#
# flawed_pages.sh PYTHON DOCS.PY BUILD: the checks of docs.py find these flaws in flawed/, and no others.
cd "$(dirname "$0")/flawed" || exit
found=$({ "$1" "$2" check . "$3"; "$1" "$2" outputs . "$3"; } | grep -v '^ ')
case $found in
  *skipped:*) exit 77 ;;
esac
echo "$found" | diff flaws.txt -
