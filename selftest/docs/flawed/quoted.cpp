// SPDX-License-Identifier: BSL-1.0
// [tide]
int high = 2;
int low = 1;
// [tide]
int wave = 3;
// [ebb]
