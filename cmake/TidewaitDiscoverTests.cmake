# SPDX-License-Identifier: BSL-1.0
#[=======================================================================[.rst:
TidewaitDiscoverTests
---------------------

.. command:: tidewait_discover_tests

  Adds each test of a GoogleTest or Catch2 program to CTest, run by the launcher:

  .. code-block:: cmake

    tidewait_discover_tests(target
                            [ISOLATE [PREFER]]
                            [PORTS n]
                            [FIXED_PORTS port...]
                            [TOLERATE rule...]
                            [MAX_WAIT duration]
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
    The hard-coded ports of the tests, each 8080 or 8000-8010. Tests that share one never run at the
    same time, by the ``RESOURCE_LOCK`` ``tidewait_port_8080``. With ``ISOLATE`` they may, so there is
    no lock; with ``ISOLATE PREFER`` there is.

  ``TOLERATE rule...``
    What may be left, each argument one rule in the grammar of ``TIDEWAIT_POLICY``: ``time_wait``,
    ``port=8080``, ``owner=redis-server``, ``warn:bound``, ``[[test="name, rest"+time_wait]]``. A rule
    that cannot be read is an error when CMake configures (:module:`TidewaitPolicy`). They come on top
    of a ``TIDEWAIT_POLICY`` of the environment.

  ``MAX_WAIT duration``
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

#]=======================================================================]

function(tidewait_discover_tests target)
  if(NOT TARGET ${target})
    message(FATAL_ERROR "${target} is not a target")
  endif()
  get_target_property(aliased ${target} ALIASED_TARGET)
  if(aliased)
    set(target ${aliased})
  endif()
  foreach(index RANGE ${ARGC})
    set(argument_${index} "${ARGV${index}}")
  endforeach()
  math(EXPR last "${ARGC} - 1")
  _tidewait_parse(PROPERTIES 1 ${last})

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
      set(module "")
      foreach(place IN LISTS CMAKE_MODULE_PATH Catch2_DIR Catch2_SOURCE_DIR)
        foreach(folder IN ITEMS "" /extras /contrib)
          if(NOT module AND EXISTS ${place}${folder}/Catch.cmake)
            set(module ${place}${folder}/Catch.cmake)
          endif()
        endforeach()
      endforeach()
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
  if(framework STREQUAL "gtest" AND CMAKE_VERSION VERSION_GREATER_EQUAL 3.18
     AND CMAKE_VERSION VERSION_LESS 3.23)
    string(REPLACE "\\" "\\\\" properties "${properties}") # read twice by a macro there
  endif()
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
  _tidewait_launcher(launcher --discovery)
  if(launcher)
    add_dependencies(${target} tidewait::command)
    set_property(TARGET ${target} PROPERTY ${property} ${launcher} ${users})
  endif()
  set(code "${discover}([==[${target}]==]${arg_BEFORE}${properties}${arg_AFTER})")
  _tidewait_run(code)
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
  set(name "")
  _tidewait_environment(name TIDEWAIT_TEST set "\${test}")
  list(JOIN name "\" \"" name)
  _tidewait_write(${file} [=[
foreach(test IN LISTS [==[@arg_TEST_LIST@]==])
  string(REPLACE ";" "\\;" test "${test}")
  set_tests_properties("${test}" PROPERTIES "@name@")
endforeach()
]=])
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${file})
endfunction()
