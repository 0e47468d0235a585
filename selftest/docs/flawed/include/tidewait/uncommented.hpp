// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace tidewait {
inline namespace v0 {

/// Has a comment.
struct commented {
  int number = 0;  ///< Has one as well.
  int without_comment = 0;
};

int commented_nowhere();

namespace detail {
int private_function();
}

}  // namespace v0
}  // namespace tidewait
