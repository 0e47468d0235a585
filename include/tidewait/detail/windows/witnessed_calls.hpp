// SPDX-License-Identifier: BSL-1.0
#pragma once

#error "tidewait does not witness binds on Windows: leave out <tidewait/witness.hpp> there"
