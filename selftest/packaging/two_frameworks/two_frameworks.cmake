# SPDX-License-Identifier: BSL-1.0
include(${CMAKE_CURRENT_LIST_DIR}/../expect.cmake)

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK}/build)
# All in one build directory: looking for the compilers takes longest.
function(expect_case name)
  expect(COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_FUNCTION_LIST_DIR} -B . -G ${GENERATOR} -C ${MACHINE}
                 --no-warn-unused-cli -D CMAKE_PREFIX_PATH=${TIDEWAIT_BUILD}
                 -D GOOGLETEST_SOURCE=${GOOGLETEST_SOURCE} -D "CASE=${name}"
         ${ARGN})
endfunction()

set(twice "program links two copies of GoogleTest" "target gtest, built from ${GOOGLETEST_SOURCE}"
          "by tidewait::gtest" "first .FetchContent" "find_package.tidewait")
if(GOOGLETEST_SOURCE)
  foreach(name IN ITEMS "tidewait first" "tidewait first, subproject" "tidewait in a part")
    set(code 1)
    set(prints PRINTS ${twice})
    if(name MATCHES "part")
      # It sees the targets of the project, and so takes its GoogleTest.
      set(code 0)
      set(prints NEVER "two copies")
    endif()
    expect_case("${name}" EXIT ${code} ${prints} NEVER "two copies.*two copies")
  endforeach()
  expect_case("framework first" EXIT 0 NEVER "CMake (Error|Warning)")
  expect_case("framework first, subproject" EXIT 0 NEVER "CMake (Error|Warning)")
  expect_case("links the installed" EXIT 0
              PRINTS "This build makes GoogleTest" "tidewait::gtest and[ \n]+program[ \n]+use")
  expect_case("without tidewait" EXIT 0 NEVER "CMake (Error|Warning)")
endif()
if(WITH_CATCH2)
  expect_case("catch2, tidewait first" EXIT 1
              PRINTS "program links two copies of Catch2" "target Catch2, built from" "by tidewait::catch2")
  # A copy among the sources of the project, in a target of any name.
  expect_case("catch2, amalgamated, tidewait first" EXIT 1
              PRINTS "program links two copies of Catch2" "target testing, built from"
                     "set.TIDEWAIT_CATCH2_TARGET[ \n]+testing")
  expect_case("catch2, header, tidewait first" EXIT 1
              PRINTS "program would mix two versions of Catch2" "Catch2 2.13.99 .*/catch.hpp"
                     "set.TIDEWAIT_CATCH2_TARGET[ \n]+testing")
  expect_case("catch2, header everywhere, tidewait first" EXIT 1
              PRINTS "program would mix two versions of Catch2" "set.TIDEWAIT_CATCH2_TARGET[ \n]+name")
  foreach(kind IN ITEMS amalgamated header)
    expect_case("catch2, ${kind}, named, framework first" EXIT 0 NEVER "CMake (Error|Warning)")
    expect_case("catch2, ${kind}, named, framework first, subproject" EXIT 0 NEVER "CMake (Error|Warning)")
    expect_case("catch2, ${kind}, named, tidewait first" EXIT 1
                PRINTS "the target testing, which[ \n]+TIDEWAIT_CATCH2_TARGET names: make it before")
    expect_case("catch2, ${kind}, named, tidewait first, subproject" EXIT 1
                PRINTS "TIDEWAIT_CATCH2_TARGET is testing, and that is no target here")
  endforeach()
endif()
