# SPDX-License-Identifier: BSL-1.0
#[=======================================================================[.rst:
TidewaitTesting
---------------

Functions that have CTest look after the ports of its tests. ``find_package(tidewait)`` includes this
module, and so do ``add_subdirectory()`` and ``FetchContent_MakeAvailable()``. Nothing happens to a
project that calls none of them.

Most of what they do is done by the launcher, the executable ``tidewait::launcher`` (``COMPONENTS
launcher``; as a part of your own build, ``set(TIDEWAIT_COMMAND ON)``). Where it is missing they do
what they can without it, and say once what is lost.

.. command:: tidewait_discover_tests

  Adds each test of a GoogleTest or Catch2 program to CTest, run by the launcher:

  .. code-block:: cmake

    tidewait_discover_tests(target
                            [ISOLATE [PREFER]]
                            [PORTS n]
                            [FIXED_PORTS port...]
                            [TOLERATE rule...]
                            [SETTLE duration]
                            [JOURNAL file|OFF]
                            [FRAMEWORK gtest|catch2]
                            [any argument of the framework's own function]...)

  It calls ``gtest_discover_tests()`` or ``catch_discover_tests()`` with the arguments that are not
  listed here. Which of the two is seen from what ``target`` links, directly or not, so call it after
  ``target_link_libraries()``; where that is not to be seen, or both are linked, say ``FRAMEWORK``.

  After a test the launcher looks at what the processes of the test left: a listener, a bound socket,
  a TIME_WAIT on the port of a server, a process that is still alive. It ends what is alive, prints
  what it found, and ends by SIGABRT, which CTest calls "Subprocess aborted": an exit code could be
  overruled by ``SKIP_RETURN_CODE``, ``WILL_FAIL``, ``PASS_REGULAR_EXPRESSION``, or the
  ``SKIP_REGULAR_EXPRESSION`` that ``gtest_discover_tests()`` always sets. How many sockets and
  processes were left is a measurement in ``Test.xml``.

  ``ISOLATE``
    Runs each test in a network namespace of its own, where every port is free, and whatever is left
    is of the test. Where the system denies such a namespace, the test fails and says which rule
    denied it. With ``PREFER`` it goes on in the common namespace, and says so.

  ``PORTS n``
    Leases ``n`` ports for each test: ``TIDEWAIT_PORT_0``, ... in its environment, and ``{port:0}``,
    ... in its arguments.

  ``FIXED_PORTS port...``
    The ports that are written into the code of the tests, each 8080 or 8000-8010. Tests that share
    one never run at the same time, by the ``RESOURCE_LOCK`` ``tidewait_port_8080``. With ``ISOLATE``
    they may, so there is no lock; with ``ISOLATE PREFER`` there is.

  ``TOLERATE rule...``
    What may be left, in the grammar of ``TIDEWAIT_POLICY``: ``time_wait``, ``port=8080``,
    ``owner=redis-server``, ``warn:bound``. It comes on top of a ``TIDEWAIT_POLICY`` of the
    environment.

  ``SETTLE duration``
    How long a look may wait for closing connections that pass by themselves, such as 500ms or 2s.

  ``JOURNAL file``
    The file that tells which test left what, shared by all tests, so that a port in use names the
    test before. By default ``Testing/tidewait-journal.jsonl`` in the top-level build directory;
    ``OFF`` for none. One that has grown over 4 MB is begun anew.

  ``FRAMEWORK gtest|catch2``
    Instead of looking at what the target links.

  A ``TEST_LAUNCHER`` (CMake 3.29) or ``CROSSCOMPILING_EMULATOR`` of the target is kept: the launcher
  starts it. The properties are read by this call and are as before after it.

  In the environment of each test ``TIDEWAIT_TEST`` is the name that CTest has for it, except where
  that name has square brackets, which CMake's lists cannot hold.

.. command:: tidewait_add_test

  Adds one test to CTest, in any language, run by the launcher:

  .. code-block:: cmake

    tidewait_add_test(NAME name COMMAND command [arg...]
                      [CONFIGURATIONS config...] [WORKING_DIRECTORY directory] [COMMAND_EXPAND_LISTS]
                      [ISOLATE [PREFER]] [PORTS n] [FIXED_PORTS port...]
                      [TOLERATE rule...] [SETTLE duration] [JOURNAL file|OFF])

  As ``add_test(NAME)``, with the options of :command:`tidewait_discover_tests`.

.. command:: tidewait_add_gate

  Fails a run of ``ctest`` if a process that it started is alive at its end:

  .. code-block:: cmake

    tidewait_add_gate([TOLERATE rule...] [KEEP_ORPHANS])

  It holds for every test of the project, also for those of plain ``add_test()``, with ``-j``, ``-R``,
  and for what a test leaves that CTest ended after its timeout. The gate prints which test started
  the process and what it listens on, ends it, and CTest says "Problem executing post-test
  command(s)" and fails. What a run left that was interrupted by Ctrl-C is reported and ended when
  the next one begins.

  ``TOLERATE rule...``
    Who may stay alive: ``owner=NAME``.

  ``KEEP_ORPHANS``
    Only report, end nothing.

  CTest reads ``CTestCustom.cmake`` in the top-level build directory; this function adds one line to
  it, at the end of the configuration, and leaves what a project itself writes there. The file gives
  each run a mark, which all its processes inherit by the environment variable ``TIDEWAIT_RUN``, and
  by a soft limit for ``RLIMIT_RTTIME`` that limits nothing, since servers write their title over their
  environment. The gate does not stand when ``ctest`` is started in a subdirectory of the build
  directory, or by a ``ctest -S`` script that does not call ``ctest_read_custom_files()``. It needs
  the launcher.
#]=======================================================================]

# Splits arg_UNPARSED_ARGUMENTS of the caller into our options, arg_<option>, and the rest, a text that
# cmake_language(EVAL) reads back as it was written: arg_BEFORE and arg_AFTER the keyword <insert_at>.
# No keyword of the frameworks has to be known for that: a list of ours ends at a word in capitals.
function(_tidewait_parse insert_at)
  set(results
    BEFORE AFTER NAME COMMAND TEST_LIST ISOLATE PORTS FIXED_PORTS TOLERATE SETTLE JOURNAL FRAMEWORK
  )
  foreach(result IN LISTS results)
    set(${result} "")
  endforeach()
  set(part BEFORE)
  set(option "") # of ours, whose value comes next
  set(noted "") # one of the framework's, whose value we have to know

  foreach(argument IN LISTS arg_UNPARSED_ARGUMENTS)
    if(argument STREQUAL "ISOLATE")
      set(ISOLATE require)
      set(option ISOLATE)
    elseif(argument STREQUAL "PREFER" AND option STREQUAL "ISOLATE")
      set(ISOLATE prefer)
      set(option "")
    elseif(argument MATCHES "^(PORTS|FIXED_PORTS|TOLERATE|SETTLE|JOURNAL|FRAMEWORK)$")
      set(option ${argument})
    elseif(option STREQUAL "JOURNAL" OR
           (option AND NOT option STREQUAL "ISOLATE" AND NOT argument MATCHES "^[A-Z][A-Z_]+$"))
      list(APPEND ${option} "${argument}")
      if(NOT option MATCHES "^(FIXED_PORTS|TOLERATE)$")
        set(option "")
      endif()
    else()
      set(option "")
      if(noted)
        set(${noted} "${argument}")
      endif()
      if(NOT noted STREQUAL "COMMAND")
        string(APPEND ${part} " [==[${argument}]==]")
      endif()
      set(noted "")
      if(argument STREQUAL insert_at AND part STREQUAL "BEFORE")
        set(part AFTER)
      endif()
      if(argument MATCHES "^(NAME|TEST_LIST)$" OR
         (argument STREQUAL "COMMAND" AND insert_at STREQUAL "COMMAND"))
        set(noted ${argument})
      endif()
    endif()
  endforeach()

  foreach(port IN LISTS PORTS)
    if(NOT port MATCHES "^[1-9][0-9]*$")
      message(FATAL_ERROR "PORTS is how many ports to lease, not ${port}")
    endif()
  endforeach()
  set(ports "")
  foreach(port IN LISTS FIXED_PORTS)
    if(NOT port MATCHES "^([0-9]+)(-([0-9]+))?$")
      message(FATAL_ERROR "FIXED_PORTS are port numbers, 8080 or 8000-8010, not ${port}")
    endif()
    set(first ${CMAKE_MATCH_1})
    set(final ${CMAKE_MATCH_1})
    if(CMAKE_MATCH_3)
      set(final ${CMAKE_MATCH_3})
    endif()
    if(first LESS 1 OR final GREATER 65535 OR first GREATER final)
      message(FATAL_ERROR "FIXED_PORTS are from 1 to 65535, ${port} is not")
    endif()
    foreach(number RANGE ${first} ${final})
      list(APPEND ports ${number})
    endforeach()
  endforeach()
  set(FIXED_PORTS ${ports})

  foreach(result IN LISTS results)
    set(arg_${result} "${${result}}" PARENT_SCOPE)
  endforeach()
endfunction()

# The properties that the options ask for, as a list of keys and values: CTest appends the values of a
# repeated key, while a value that is itself a list does not survive the way to a discovered test.
function(_tidewait_properties result)
  set(properties "")
  if(NOT arg_ISOLATE STREQUAL "require")
    foreach(port IN LISTS arg_FIXED_PORTS)
      list(APPEND properties RESOURCE_LOCK tidewait_port_${port})
    endforeach()
  endif()

  set(rules ${arg_TOLERATE})
  if(arg_SETTLE)
    list(APPEND rules settle=${arg_SETTLE})
  endif()
  if(rules)
    list(JOIN rules "," rules)
    list(APPEND properties ENVIRONMENT_MODIFICATION "TIDEWAIT_POLICY=cmake_list_append:${rules}")
  endif()

  if(NOT arg_JOURNAL)
    set(journal ${CMAKE_BINARY_DIR}/Testing/tidewait-journal.jsonl)
  else()
    cmake_path(ABSOLUTE_PATH arg_JOURNAL BASE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} OUTPUT_VARIABLE journal)
  endif()
  if(NOT arg_JOURNAL STREQUAL "OFF")
    cmake_path(GET journal PARENT_PATH directory)
    file(MAKE_DIRECTORY ${directory})
    list(APPEND properties ENVIRONMENT_MODIFICATION "TIDEWAIT_JOURNAL=set:${journal}")
    _tidewait_trim_journal("${journal}")
  endif()
  set(${result} "${properties}" PARENT_SCOPE)
endfunction()

# Each run of the tests appends to the journal, and what it tells of runs long ago is of no use: CTest
# looks at its size when it starts.
function(_tidewait_trim_journal journal)
  string(MD5 name "${journal}")
  set(file ${CMAKE_CURRENT_BINARY_DIR}/tidewait_journal_${name}.cmake)
  get_property(included DIRECTORY PROPERTY TEST_INCLUDE_FILES)
  if(file IN_LIST included)
    return()
  endif()
  file(CONFIGURE OUTPUT ${file} @ONLY CONTENT [=[
if(EXISTS "@journal@")
  file(SIZE "@journal@" size)
  if(size GREATER 4000000)
    file(REMOVE "@journal@")
  endif()
endif()
]=])
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${file})
endfunction()

# The command line that goes before that of a test; "" where the launcher is missing.
function(_tidewait_launcher result)
  if(TARGET tidewait::launcher)
    set(launcher $<TARGET_FILE:tidewait::launcher> run --ctest-measurement --abort)
    if(arg_ISOLATE)
      list(APPEND launcher --isolate=${arg_ISOLATE})
    endif()
    if(arg_PORTS)
      list(APPEND launcher --ports ${arg_PORTS})
    endif()
    set(${result} "${launcher};--" PARENT_SCOPE)
    return()
  endif()

  set(missing
      "the component launcher is missing. Have it by find_package(tidewait COMPONENTS launcher), or, "
      "with tidewait as a part of your build, by set(TIDEWAIT_COMMAND ON)"
  )
  string(CONCAT missing ${missing})
  if(arg_PORTS OR arg_ISOLATE STREQUAL "require")
    message(FATAL_ERROR "ISOLATE and PORTS are done by the launcher, and ${missing}")
  endif()
  get_property(said GLOBAL PROPERTY TIDEWAIT_LAUNCHER_MISSED)
  if(NOT said)
    set_property(GLOBAL PROPERTY TIDEWAIT_LAUNCHER_MISSED TRUE)
    message(STATUS "tidewait: nothing looks at what a test leaves when its process has ended, such as a "
                   "server still alive, and no test is isolated: ${missing}.")
  endif()
  set(${result} "" PARENT_SCOPE)
endfunction()

# Which of the two frameworks a target links: gtest, catch2, both or none, as a list.
function(_tidewait_frameworks target result)
  set(frameworks "")
  set(seen "")
  set(waiting ${target})
  while(waiting)
    list(POP_FRONT waiting name)
    if(name IN_LIST seen)
      continue()
    endif()
    list(APPEND seen ${name})
    # GTest::gtest_main, gmock, tidewait::gtest_auto, -lgtest, /usr/lib/libgtest.a; Catch2::Catch2WithMain.
    if(name MATCHES "(^|::|/|-l|lib|tidewait_)(gtest|gmock|GTest|GMock)(_main|_auto)?d?([.]a|[.]so[0-9.]*)?$")
      list(APPEND frameworks gtest)
    elseif(name MATCHES "(^|::|/|-l|lib|tidewait_)[Cc]atch2(WithMain|Main|_main|_auto)?d?([.]a|[.]so[0-9.]*)?$")
      list(APPEND frameworks catch2)
    elseif(TARGET ${name})
      foreach(property IN ITEMS LINK_LIBRARIES INTERFACE_LINK_LIBRARIES)
        get_property(libraries TARGET ${name} PROPERTY ${property})
        # The names inside generator expressions too: $<LINK_ONLY:a>, $<$<CONFIG:Debug>:b>.
        string(REGEX MATCHALL "[A-Za-z0-9_.+/-]+(::[A-Za-z0-9_.+/-]+)*" names "${libraries}")
        list(APPEND waiting ${names})
      endforeach()
    endif()
  endwhile()
  list(REMOVE_DUPLICATES frameworks)
  set(${result} "${frameworks}" PARENT_SCOPE)
endfunction()

function(tidewait_discover_tests target)
  if(NOT TARGET ${target})
    message(FATAL_ERROR "There is no target ${target}")
  endif()
  get_target_property(aliased ${target} ALIASED_TARGET)
  if(aliased)
    set(target ${aliased})
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "")
  _tidewait_parse(PROPERTIES)

  set(framework "${arg_FRAMEWORK}")
  if(NOT framework)
    _tidewait_frameworks(${target} framework)
  endif()
  if(framework STREQUAL "gtest")
    set(discover gtest_discover_tests)
    include(GoogleTest)
  elseif(framework STREQUAL "catch2")
    set(discover catch_discover_tests)
    if(NOT COMMAND catch_discover_tests)
      find_file(
        module Catch.cmake
        PATHS ${CMAKE_MODULE_PATH} ${Catch2_DIR} ${Catch2_SOURCE_DIR}/extras ${Catch2_SOURCE_DIR}/contrib
        NO_DEFAULT_PATH NO_CACHE
      )
      if(NOT module)
        message(FATAL_ERROR "${target} links Catch2, but Catch.cmake, which has catch_discover_tests(), "
                            "is not in CMAKE_MODULE_PATH, nor in Catch2_DIR: ${Catch2_DIR}")
      endif()
      include(${module})
    endif()
  else()
    list(JOIN framework " and " linked)
    if(NOT linked)
      set(linked "neither GoogleTest nor Catch2")
    endif()
    message(FATAL_ERROR "${target} links ${linked}, as far as can be seen here. Call "
                        "tidewait_discover_tests() after target_link_libraries(), or give it "
                        "FRAMEWORK gtest or FRAMEWORK catch2.")
  endif()

  # What we add stands before what the user gives for the same keyword.
  _tidewait_properties(properties)
  list(JOIN properties "]==] [==[" properties)
  if(properties)
    set(properties " [==[${properties}]==]")
    if(NOT arg_BEFORE MATCHES " \\[==\\[PROPERTIES]==]$")
      string(PREPEND properties " PROPERTIES")
    endif()
  endif()

  # Catch2's function knows of the emulator only.
  set(property CROSSCOMPILING_EMULATOR)
  if(framework STREQUAL "gtest" AND NOT CMAKE_VERSION VERSION_LESS 3.29)
    set(property TEST_LAUNCHER)
  endif()
  get_property(was_set TARGET ${target} PROPERTY ${property} SET)
  get_property(users TARGET ${target} PROPERTY ${property})
  _tidewait_launcher(launcher)
  if(launcher)
    add_dependencies(${target} tidewait::launcher)
    set_property(TARGET ${target} PROPERTY ${property} ${launcher} ${users})
  endif()
  cmake_language(EVAL CODE "${discover}([==[${target}]==]${arg_BEFORE}${properties}${arg_AFTER})")
  if(was_set)
    set_property(TARGET ${target} PROPERTY ${property} ${users})
  elseif(launcher)
    set_property(TARGET ${target} PROPERTY ${property})
  endif()

  # Read by CTest after the list of tests that the framework's function has written.
  if(NOT arg_TEST_LIST)
    set(arg_TEST_LIST ${target}_TESTS)
  endif()
  string(MAKE_C_IDENTIFIER "${target}_${arg_TEST_LIST}" file)
  set(file ${CMAKE_CURRENT_BINARY_DIR}/${file}_tidewait.cmake)
  file(CONFIGURE OUTPUT ${file} @ONLY CONTENT [=[
foreach(test IN LISTS [==[@arg_TEST_LIST@]==])
  string(REPLACE ";" "\\;" test "${test}")
  set_tests_properties("${test}" PROPERTIES ENVIRONMENT_MODIFICATION "TIDEWAIT_TEST=set:${test}")
endforeach()
]=])
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${file})
endfunction()

function(tidewait_add_test)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "")
  _tidewait_parse(COMMAND)
  if(NOT arg_NAME OR NOT arg_COMMAND)
    message(FATAL_ERROR "tidewait_add_test() needs NAME and COMMAND")
  endif()

  set(command "${arg_COMMAND}")
  _tidewait_launcher(launcher)
  if(launcher)
    # add_test() replaces only the first word, now the launcher, if it is the name of a target.
    if(TARGET ${command})
      get_target_property(type ${command} TYPE)
      if(type STREQUAL "EXECUTABLE")
        get_property(users TARGET ${command} PROPERTY TEST_LAUNCHER)
        if(CMAKE_CROSSCOMPILING)
          get_property(emulator TARGET ${command} PROPERTY CROSSCOMPILING_EMULATOR)
          list(APPEND users ${emulator})
        endif()
        list(APPEND launcher ${users})
        set(command $<TARGET_FILE:${command}>)
      endif()
    endif()
    list(APPEND launcher "${command}")
    list(JOIN launcher "]==] [==[" command)
  endif()
  cmake_language(EVAL CODE "add_test(${arg_BEFORE} [==[${command}]==]${arg_AFTER})")

  _tidewait_properties(properties)
  list(APPEND properties ENVIRONMENT_MODIFICATION "TIDEWAIT_TEST=set:${arg_NAME}")
  while(properties)
    list(POP_FRONT properties key value)
    set_property(TEST "${arg_NAME}" APPEND PROPERTY ${key} "${value}")
  endwhile()
endfunction()

# Without a call of tidewait_add_gate() in this configuration the line in CTestCustom.cmake has no
# effect.
file(REMOVE ${CMAKE_BINARY_DIR}/Testing/tidewait/gate.cmake)

function(tidewait_add_gate)
  cmake_parse_arguments(PARSE_ARGV 0 arg "KEEP_ORPHANS" "" "TOLERATE")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "tidewait_add_gate() does not know ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT TARGET tidewait::launcher)
    message(FATAL_ERROR "tidewait_add_gate() needs the component launcher: "
                        "find_package(tidewait COMPONENTS launcher), or, with tidewait as a part of "
                        "your build, set(TIDEWAIT_COMMAND ON)")
  endif()
  set(options "")
  if(arg_TOLERATE)
    list(JOIN arg_TOLERATE "," rules)
    string(APPEND options " --tolerate ${rules}")
  endif()
  if(arg_KEEP_ORPHANS)
    string(APPEND options " --keep-orphans")
  endif()

  set(directory ${CMAKE_BINARY_DIR}/Testing/tidewait)
  file(MAKE_DIRECTORY ${directory}/runs)
  # One file for each configuration of a multi-config generator: that which was built is taken.
  file(GENERATE OUTPUT ${directory}/launcher-$<CONFIG>.txt CONTENT $<TARGET_FILE:tidewait::launcher>)
  file(CONFIGURE OUTPUT ${directory}/gate.cmake @ONLY CONTENT [=[
# Included by CTestCustom.cmake, so that CTest evaluates it once at the begin of a run.
string(RANDOM LENGTH 16 ALPHABET 0123456789abcdef mark)
if(NOT "$ENV{TIDEWAIT_RUN}" STREQUAL "")
  string(PREPEND mark "$ENV{TIDEWAIT_RUN}:")
endif()
set(ENV{TIDEWAIT_RUN} ${mark})

file(GLOB launchers "@directory@/launcher-*.txt")
foreach(file IN LISTS launchers)
  file(READ "${file}" launcher)
  if(EXISTS "${launcher}")
    break()
  endif()
endforeach()
foreach(kind IN ITEMS TEST MEMCHECK)
  list(PREPEND CTEST_CUSTOM_PRE_${kind} "\"${launcher}\" gate begin --runs \"@directory@/runs\"@options@")
  list(APPEND CTEST_CUSTOM_POST_${kind} "\"${launcher}\" gate end --runs \"@directory@/runs\"@options@")
endforeach()
]=])
  cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL _tidewait_include_gate)
endfunction()

# At the end of the configuration, when the project has written its own CTestCustom.cmake.
function(_tidewait_include_gate)
  set(custom ${CMAKE_BINARY_DIR}/CTestCustom.cmake)
  set(text "")
  if(EXISTS ${custom})
    file(READ ${custom} text)
  endif()
  set(line "include(\"${CMAKE_BINARY_DIR}/Testing/tidewait/gate.cmake\" OPTIONAL)\n")
  string(FIND "${text}" "${line}" at)
  if(at EQUAL -1)
    file(APPEND ${custom} "${line}")
  endif()
endfunction()
