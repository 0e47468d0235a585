# SPDX-License-Identifier: BSL-1.0
#[=======================================================================[.rst:
TidewaitTesting
---------------

Functions that have CTest look after the ports of its tests. ``find_package(tidewait)`` includes this
module, and so do ``add_subdirectory()`` and ``FetchContent_MakeAvailable()``. Nothing happens to a
project that calls none of them.

* ``tidewait_discover_tests()``: :module:`TidewaitDiscoverTests`
* ``tidewait_add_test()``: :module:`TidewaitAddTest`
* ``tidewait_add_gate()``: :module:`TidewaitGate`

Most of what they do is done by the launcher, the executable ``tidewait::command`` (``COMPONENTS
launcher``; as a part of your own build, ``set(TIDEWAIT_COMMAND ON)``). Where it is missing they do
what they can without it, and say once what is lost.
#]=======================================================================]

foreach(_tidewait_module IN ITEMS Policy Frameworks Common DiscoverTests AddTest Gate)
  include(${CMAKE_CURRENT_LIST_DIR}/Tidewait${_tidewait_module}.cmake)
endforeach()
unset(_tidewait_module)
