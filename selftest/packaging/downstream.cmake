# SPDX-License-Identifier: BSL-1.0
#
# Configures and builds a downstream project, which runs what it builds. With TREE, tidewait is found
# in its build tree, or in an install tree, which may have moved after it was installed; with PREFIX, there.

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${WORK})
if(NOT CMAKE) # of the downstream project
  set(CMAKE ${CMAKE_COMMAND})
endif()
set(prefix "${PREFIX}")
if(OPTIONS)
  list(PREPEND OPTIONS -D)
endif()

if(TREE STREQUAL build)
  set(prefix ${TIDEWAIT_BUILD})
elseif(TREE)
  set(prefix ${WORK}/${TREE})
  run(${CMAKE_COMMAND} --install ${TIDEWAIT_BUILD} --prefix ${WORK}/install)
endif()
if(TREE STREQUAL moved)
  file(RENAME ${WORK}/install ${prefix})
endif()

run(${CMAKE} -S ${PROJECT} -B ${WORK}/build -G ${GENERATOR} -C ${MACHINE} --no-warn-unused-cli
    -D CMAKE_PREFIX_PATH=${prefix} -D TIDEWAIT_PREFIX=${prefix}
    ${OPTIONS})
run(${CMAKE} --build ${WORK}/build)

# What the project promises of its tests.
if(EXISTS ${PROJECT}/check.cmake)
  include(${CMAKE_CURRENT_LIST_DIR}/expect.cmake)
  include(${PROJECT}/check.cmake)
endif()

# Nothing of tidewait is installed along with the project that uses it.
run(${CMAKE} --install ${WORK}/build --prefix ${WORK}/downstream)
file(GLOB_RECURSE installed ${WORK}/downstream/*)
if(installed)
  message(FATAL_ERROR "Installed with the downstream project: ${installed}")
endif()
