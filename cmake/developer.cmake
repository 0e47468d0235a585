# SPDX-License-Identifier: BSL-1.0
#
# What our own tests and examples are built with: they link tidewait_developer privately, so that no
# warning and no sanitizer reaches a consumer.

set(TIDEWAIT_SANITIZE "" CACHE STRING "Sanitizers: 'address,undefined' or 'thread'; empty: none")

# Each header compiled alone (all_verify_interface_header_sets), those of the other system's backend left out.
set(other_backend windows)
if(WIN32)
  set(other_backend linux)
endif()
foreach(part IN ITEMS core gtest catch2 process)
  if(TARGET tidewait_${part})
    set(folder ${PROJECT_SOURCE_DIR}/include)
    if(NOT part STREQUAL "core")
      set(folder ${PROJECT_SOURCE_DIR}/adapters/${part}/include)
    endif()
    file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${folder}/*.hpp)
    list(FILTER headers EXCLUDE REGEX "/detail/(process/)?${other_backend}/")
    add_library(tidewait_${part}_headers INTERFACE)
    target_link_libraries(tidewait_${part}_headers INTERFACE tidewait_${part})
    target_sources(
      tidewait_${part}_headers INTERFACE FILE_SET HEADERS BASE_DIRS ${folder} FILES ${headers}
    )
  endif()
endforeach()

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

foreach(library IN ITEMS tidewait_compiled tidewait_process_compiled)
  if(TARGET ${library})
    set_property(TARGET ${library} PROPERTY COMPILE_OPTIONS "")
    target_link_libraries(${library} PRIVATE tidewait_developer)
  endif()
endforeach()
