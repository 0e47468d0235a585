#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
#
# adopt.sh BUILD WORK: the steps of docs/existing-suite.md, with the test of README.md for a suite.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
chat_test=$1/examples/forgotten_server/chat_test
export PATH=$1/src/command:$PATH
if [[ -z ${ALONE:-} ]]; then # the test has a port of its own: 8080
  for how in '--net' '--user --map-root-user --net'; do
    # shellcheck disable=SC2086
    if unshare $how true 2>/dev/null; then ALONE=1 exec unshare $how "$0" "$@"; fi
  done
  echo "skipped: this user may not make a network namespace here"
  exit 77
fi
ip link set lo up
rm -rf "$2"
mkdir -p "$2/build"
cd "$2"
echo "add_test(chat \"$chat_test\")" >build/CTestTestfile.cmake

wrong=0
# expect STATUS TEXT COMMAND...
expect() {
  local status=0 output
  output=$("${@:3}" 2>&1) || status=$?
  if [[ $status != "$1" || $output != *"$2"* ]]; then
    printf 'wanted %s with "%s", got %s:\n%s\n' "$1" "$2" "$status" "$output"
    wrong=1
  fi
}

warn() {
# [warn]
TIDEWAIT_POLICY=warn:any ctest --test-dir build -j4
grep 'tidewait: warning' build/Testing/Temporary/LastTest.log
# [warn]
}
known() {
# [known]
tidewait known record --file known_ports.txt -- ctest --test-dir build -j4
export TIDEWAIT_POLICY=@$PWD/known_ports.txt
ctest --test-dir build -j4
# [known]
}
report() {
# [report]
TIDEWAIT_JOURNAL=$PWD/ports.jsonl ctest --test-dir build -j4
tidewait report ports.jsonl --html ports.html
# [report]
}
compare() {
# [compare]
tidewait report --compare main.jsonl ports.jsonl --fail-on new
# [compare]
}

expect 8 'chat (Failed)' ctest --test-dir build
expect 0 'tidewait: warning: Chat.Listens left 1 socket behind' warn
expect 0 '100% tests passed' known
expect 0 'listen+port=8080+test=Chat.Listens' cat known_ports.txt
expect 0 'the rules let nothing pass' env TIDEWAIT_POLICY="@$here/known_ports.txt" tidewait run -- true
# The run fails, and the report comes after it.
set +e
expect 0 'Chat.Listens' report
set -e
[[ -s ports.html ]] || { echo "there is no ports.html"; wrong=1; }
cp ports.jsonl main.jsonl
expect 0 '' compare
grep -v left_behind ports.jsonl >main.jsonl
expect 1 'Chat.Listens' compare
exit "$wrong"
