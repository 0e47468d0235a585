#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
#
# man_pages.sh MAN TIDEWAIT FOLDER: the manual pages in MAN are those that make_pages.py there makes of
# --help; FOLDER is emptied first.
set -euo pipefail

rm -rf "$3"
mkdir "$3"
cp "$1/tidewait.1" "$3"
"$1/make_pages.py" "$2" "$3"
diff --unified --recursive --exclude='*.py' --exclude='*.mdoc' "$1" "$3" || {
  echo 'The manual pages are not those of --help: ./dev docs writes them anew'
  exit 1
}
