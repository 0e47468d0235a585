# SPDX-License-Identifier: BSL-1.0
#[=======================================================================[.rst:
TidewaitGate
------------

.. command:: tidewait_add_gate

  Fails a run of ``ctest`` if a process that it started is alive at its end:

  .. code-block:: cmake

    tidewait_add_gate([TOLERATE rule...] [KEEP_ORPHANS] [STRICT])

  It holds for every test of the project, also for those of plain ``add_test()``, with ``-j``, ``-R``,
  and for what a test leaves that CTest ended after its timeout. The gate prints which test started
  the process and what it listens on, ends it, and CTest says "Problem executing post-test
  command(s)" and fails. The next run reports and ends what a run left that was interrupted by
  Ctrl-C. docs/cmake.md says which processes are leftovers of a run.

  ``TOLERATE rule...``
    Who may stay alive: ``owner=NAME``.

  ``KEEP_ORPHANS``
    Only report, end nothing.

  ``STRICT``
    Fail as well if a rule of a file of known findings let nothing pass in the whole run, so that it
    can go.

  If tests of the run have written a journal (those of tidewait_discover_tests() and
  tidewait_add_test() do) and their ports need attention, the gate writes the report on this run to
  ``Testing/tidewait-report.html`` in the top-level build directory, and prints its path.

  At the end it prints a summary of what all the tests left, and the rules that can go. A rule without
  ``test=`` is judged only where ctest ran all tests, without ``-R``, ``-L`` and the like.

  It may be called more than once, also in subdirectories: there is one gate, which tolerates what
  each call names.

  CTest reads ``CTestCustom.cmake`` in the top-level build directory; this function adds one line to
  it, at the end of the configuration, and leaves what a project itself writes there. (Below CMake 3.19
  the line is added by the call itself: call it after the project has written that file.) The file gives
  each run a mark, which all its processes inherit by the environment variable ``TIDEWAIT_RUN``, and
  by a soft limit for ``RLIMIT_RTTIME`` that limits nothing, since servers write their title over their
  environment. The gate does not stand when ``ctest`` is started in a subdirectory of the build
  directory, or by a ``ctest -S`` script that does not call ``ctest_read_custom_files()``. It needs
  the launcher.
#]=======================================================================]

function(tidewait_add_gate)
  set(in_list FALSE)
  set(index 0)
  while(index LESS ARGC)
    set(argument "${ARGV${index}}")
    math(EXPR index "${index} + 1")
    if(argument STREQUAL "KEEP_ORPHANS")
      set_property(GLOBAL PROPERTY TIDEWAIT_GATE_KEEPS_ORPHANS TRUE)
      set(in_list FALSE)
    elseif(argument STREQUAL "STRICT")
      set_property(GLOBAL PROPERTY TIDEWAIT_GATE_IS_STRICT TRUE)
      set(in_list FALSE)
    elseif(argument STREQUAL "TOLERATE")
      set(in_list TRUE)
    elseif(in_list)
      _tidewait_check_rule(TOLERATE "${argument}" rule)
      set_property(GLOBAL APPEND PROPERTY TIDEWAIT_GATE_TOLERATES "${rule}")
    else()
      message(FATAL_ERROR "tidewait_add_gate(): unknown argument ${argument}")
    endif()
  endwhile()
  if(NOT TARGET tidewait::command)
    message(FATAL_ERROR "tidewait_add_gate() needs the component command: "
                        "find_package(tidewait COMPONENTS command), or, with tidewait as a part of "
                        "your build, set(TIDEWAIT_COMMAND ON)")
  endif()

  _tidewait_require_native_command()

  # At the end of the configuration, when each part of the project has said what it tolerates, and the
  # project has written its own CTestCustom.cmake.
  get_property(asked_for GLOBAL PROPERTY TIDEWAIT_GATE)
  if(NOT asked_for)
    set_property(GLOBAL PROPERTY TIDEWAIT_GATE TRUE)
    # Here, where the target is known. One file for each configuration of a multi-config generator.
    file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/Testing/tidewait/command-$<CONFIG>.txt
         CONTENT $<TARGET_FILE:tidewait::command>)
    if(NOT CMAKE_VERSION VERSION_LESS 3.19)
      cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL _tidewait_write_gate)
    endif()
  endif()
  if(CMAKE_VERSION VERSION_LESS 3.19)
    _tidewait_write_gate()
  endif()
endfunction()

# A gate holds for the configuration that asked for it: CMake writes CTestTestfile.cmake anew each time,
# and gate.cmake does nothing unless it is named there. So no later step has to remove anything.
function(_tidewait_write_gate)
  set(directory ${CMAKE_BINARY_DIR}/Testing/tidewait)
  file(MAKE_DIRECTORY ${directory}/runs)
  # The gate believes no note in a directory to which others may write, as some umasks permit.
  execute_process(COMMAND chmod 700 ${directory}/runs)
  set(gate ${directory}/gate.cmake)
  set(wanted ${directory}/gate_wanted.cmake)

  set(options "")
  get_property(rules GLOBAL PROPERTY TIDEWAIT_GATE_TOLERATES)
  if(rules)
    list(REMOVE_DUPLICATES rules)
    list(JOIN rules "," rules)
    # In single quotes CTest takes everything as it stands, and no rule has one in it.
    set(options " --tolerate '${rules}'")
  endif()
  get_property(keeps_orphans GLOBAL PROPERTY TIDEWAIT_GATE_KEEPS_ORPHANS)
  if(keeps_orphans)
    string(APPEND options " --keep-orphans")
  endif()
  get_property(is_strict GLOBAL PROPERTY TIDEWAIT_GATE_IS_STRICT)
  if(is_strict)
    string(APPEND options " --strict")
  endif()

  # What the tests with a journal tell of their ports.
  set(report "")
  get_property(journals GLOBAL PROPERTY TIDEWAIT_JOURNALS)
  if(journals)
    list(REMOVE_DUPLICATES journals)
    set(report " --report \\\"${CMAKE_BINARY_DIR}/Testing/tidewait-report.html\\\"")
    foreach(journal IN LISTS journals)
      string(APPEND report " --journal \\\"${journal}\\\"")
    endforeach()
  endif()

  file(WRITE ${wanted} "# tidewait_add_gate() was called: see gate.cmake.\n")
  get_property(included DIRECTORY ${CMAKE_SOURCE_DIR} PROPERTY TEST_INCLUDE_FILES)
  if(NOT wanted IN_LIST included)
    set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY TEST_INCLUDE_FILES ${wanted})
  endif()
  _tidewait_write(${gate} [=[
# Included by CTestCustom.cmake, so that CTest evaluates it once at the begin of a run.
set(gate_wanted "")
if(EXISTS "@CMAKE_BINARY_DIR@/CTestTestfile.cmake")
  file(STRINGS "@CMAKE_BINARY_DIR@/CTestTestfile.cmake" gate_wanted REGEX "/tidewait/gate_wanted[.]cmake")
endif()
if(NOT gate_wanted)
  return()
endif()

string(RANDOM LENGTH 16 ALPHABET 0123456789abcdef mark)
if(NOT "$ENV{TIDEWAIT_RUN}" STREQUAL "")
  string(PREPEND mark "$ENV{TIDEWAIT_RUN}:")
endif()
set(ENV{TIDEWAIT_RUN} ${mark})
string(REGEX REPLACE ".*:" "" own_mark "${mark}")
if("$ENV{TIDEWAIT_TALLY}" STREQUAL "")
  set(ENV{TIDEWAIT_TALLY} "@directory@/runs/tally-${own_mark}.jsonl")
endif()

file(GLOB commands "@directory@/command-*.txt")
foreach(file IN LISTS commands)
  file(READ "${file}" command)
  if(EXISTS "${command}")
    break()
  endif()
endforeach()
set(options [==[@options@]==])
foreach(kind IN ITEMS TEST MEMCHECK)
  list(PREPEND CTEST_CUSTOM_PRE_${kind} "\"${command}\" gate begin --runs \"@directory@/runs\"${options}")
  list(APPEND CTEST_CUSTOM_POST_${kind} "\"${command}\" gate end --runs \"@directory@/runs\"${options}@report@")
endforeach()
]=])

  set(custom ${CMAKE_BINARY_DIR}/CTestCustom.cmake)
  set(text "")
  if(EXISTS ${custom})
    file(READ ${custom} text)
  endif()
  set(line "include(\"${gate}\" OPTIONAL)\n")
  string(FIND "${text}" "${line}" at)
  if(at EQUAL -1)
    file(APPEND ${custom} "${line}")
  endif()
endfunction()
