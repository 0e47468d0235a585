// SPDX-License-Identifier: BSL-1.0
int answer();
int answer() { return 42; }
