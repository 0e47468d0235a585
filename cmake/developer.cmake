# SPDX-License-Identifier: BSL-1.0
#
# What our own tests and examples are built with: they link tidewait_developer privately, so that no
# warning and no sanitizer reaches a consumer.

set(TIDEWAIT_SANITIZE "" CACHE STRING "Sanitizers: 'address,undefined' or 'thread'; empty: none")

add_library(tidewait_developer INTERFACE)
target_compile_options(
  tidewait_developer
  INTERFACE
    -Wall
    -Wextra
    -Wpedantic
    -Wcast-align
    -Wconversion
    -Wextra-semi
    -Wnon-virtual-dtor
    -Wold-style-cast
    -Woverloaded-virtual
    -Wshadow
    -Wsign-conversion
    -Wundef
)
if(TIDEWAIT_SANITIZE)
  set(sanitize -fsanitize=${TIDEWAIT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(tidewait_developer INTERFACE ${sanitize})
  target_link_options(tidewait_developer INTERFACE ${sanitize})
endif()

if(TARGET tidewait_compiled)
  set_property(TARGET tidewait_compiled PROPERTY COMPILE_OPTIONS "")
  target_link_libraries(tidewait_compiled PRIVATE tidewait_developer)
endif()
