// SPDX-License-Identifier: BSL-1.0
//
// Nothing: the library is there for what it links.
