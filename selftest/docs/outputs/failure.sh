# SPDX-License-Identifier: BSL-1.0
. "$LIBRARY"
cp "$BUILD/examples/forgotten_server/chat_test" .
echo '$ ./chat_test'
GTEST_BRIEF=1 GTEST_COLOR=yes ./chat_test 2>&1 | sed -E '/^Running main/d; s|\S*/examples/|examples/|' || true
