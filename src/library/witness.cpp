// SPDX-License-Identifier: BSL-1.0
//
// The functions that record the binds of a program which links an adapter.
#include <tidewait/witness.hpp>
