# SPDX-License-Identifier: BSL-1.0
#[=======================================================================[.rst:
TidewaitCommon
--------------

What :module:`TidewaitDiscoverTests` and :module:`TidewaitAddTest` share: their options, the properties
of the tests that these ask for, the journal, and the launcher that runs the tests. Internal.

These modules run in the project that uses them, with CMake 3.16 or later.
#]=======================================================================]

# Runs the code in the variable <code> (cmake_language(EVAL) came with CMake 3.18).
macro(_tidewait_run code)
  if(CMAKE_VERSION VERSION_LESS 3.18)
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/tidewait_run.cmake "${${code}}")
    include(${CMAKE_CURRENT_BINARY_DIR}/tidewait_run.cmake)
  else()
    cmake_language(EVAL CODE "${${code}}")
  endif()
endmacro()

# Writes <text> to a file, with its @variables@ filled in (file(CONFIGURE) came with CMake 3.18).
function(_tidewait_write file text)
  string(CONFIGURE "${text}" text @ONLY)
  file(WRITE "${file}" "${text}")
endfunction()

# A change of the environment of a test, as a property and its value. Below CMake 3.22, which has no
# ENVIRONMENT_MODIFICATION, a policy takes the place of a TIDEWAIT_POLICY that ctest is started with.
function(_tidewait_environment to variable operation value)
  if(CMAKE_VERSION VERSION_LESS 3.22)
    list(APPEND ${to} ENVIRONMENT "${variable}=${value}")
  else()
    list(APPEND ${to} ENVIRONMENT_MODIFICATION "${variable}=${operation}:${value}")
  endif()
  set(${to} "${${to}}" PARENT_SCOPE)
endfunction()

# Splits the arguments of the caller, from <first> to <last>, into our options, arg_<option>, and the
# rest, a text that cmake_language(EVAL) reads back as it was written: arg_BEFORE and arg_AFTER the
# keyword <insert_at>. No keyword of the frameworks has to be known for that: a list of ours ends at a
# word in capitals. The caller has set argument_<n> to each of its ARGV<n>: no list holds a bracket or a
# semicolon safely.
function(_tidewait_parse insert_at first last)
  set(results
    BEFORE AFTER NAME COMMAND TEST_LIST ISOLATE PORTS FIXED_PORTS TOLERATE MAX_WAIT JOURNAL FRAMEWORK
  )
  foreach(result IN LISTS results)
    set(${result} "")
  endforeach()
  set(part BEFORE)
  set(option "") # of ours, whose value comes next
  set(noted "") # one of the framework's, whose value we have to know

  set(index ${first})
  while(index LESS_EQUAL last)
    set(argument "${argument_${index}}")
    math(EXPR index "${index} + 1")
    set(is_keyword FALSE)
    if(argument MATCHES "^[A-Z][A-Z_]+$")
      set(is_keyword TRUE)
      if(option STREQUAL "TOLERATE") # TIME_WAIT is a rule
        _tidewait_read_rule("${argument}" rule flaw)
        if(NOT flaw)
          set(is_keyword FALSE)
        endif()
      endif()
    endif()
    if(argument STREQUAL "ISOLATE")
      set(ISOLATE require)
      set(option ISOLATE)
    elseif(argument STREQUAL "PREFER" AND option STREQUAL "ISOLATE")
      set(ISOLATE prefer)
      set(option "")
    elseif(argument MATCHES "^(PORTS|FIXED_PORTS|TOLERATE|MAX_WAIT|JOURNAL|FRAMEWORK)$")
      set(option ${argument})
    elseif(option STREQUAL "JOURNAL" OR
           (option AND NOT option STREQUAL "ISOLATE" AND NOT is_keyword))
      if(option STREQUAL "TOLERATE")
        _tidewait_check_rule(TOLERATE "${argument}" argument)
      elseif(option STREQUAL "MAX_WAIT")
        _tidewait_check_rule(MAX_WAIT "max_wait=${argument}" rule)
      endif()
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
  endwhile()

  foreach(port IN LISTS PORTS)
    if(NOT port MATCHES "^[1-9][0-9]*$")
      message(FATAL_ERROR "PORTS takes a count, got ${port}")
    endif()
  endforeach()
  set(ports "")
  foreach(port IN LISTS FIXED_PORTS)
    if(NOT port MATCHES "^([0-9]+)(-([0-9]+))?$")
      message(FATAL_ERROR "FIXED_PORTS takes port numbers, 8080 or 8000-8010, got ${port}")
    endif()
    set(first ${CMAKE_MATCH_1})
    set(final ${CMAKE_MATCH_1})
    if(CMAKE_MATCH_3)
      set(final ${CMAKE_MATCH_3})
    endif()
    if(first LESS 1 OR final GREATER 65535 OR first GREATER final)
      message(FATAL_ERROR "FIXED_PORTS: ${port} is outside 1-65535")
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
  if(arg_MAX_WAIT)
    list(APPEND rules max_wait=${arg_MAX_WAIT})
  endif()
  if(rules)
    list(JOIN rules "," rules)
    _tidewait_environment(properties TIDEWAIT_POLICY cmake_list_append "${rules}")
  endif()

  if(NOT arg_JOURNAL)
    set(journal ${CMAKE_BINARY_DIR}/Testing/tidewait-journal.jsonl)
  else()
    get_filename_component(journal "${arg_JOURNAL}" ABSOLUTE BASE_DIR ${CMAKE_CURRENT_BINARY_DIR})
  endif()
  if(NOT arg_JOURNAL STREQUAL "OFF")
    get_filename_component(directory "${journal}" DIRECTORY)
    file(MAKE_DIRECTORY ${directory})
    _tidewait_environment(properties TIDEWAIT_JOURNAL set "${journal}")
    _tidewait_trim_journal("${journal}")
    set_property(GLOBAL APPEND PROPERTY TIDEWAIT_JOURNALS "${journal}")
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
  _tidewait_write(${file} [=[
if(EXISTS "@journal@")
  file(SIZE "@journal@" size)
  if(size GREATER 4000000)
    file(REMOVE "@journal@" "@journal@.1")
  endif()
endif()
]=])
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${file})
endfunction()

# tidewait::command is the program that TIDEWAIT_COMMAND_EXECUTABLE names, if it names one: in a cross build,
# where the command of this build or of a package is made for another machine.
function(_tidewait_name_command)
  if(TARGET tidewait::command OR NOT TIDEWAIT_COMMAND_EXECUTABLE)
    return()
  endif()
  execute_process(
    COMMAND ${TIDEWAIT_COMMAND_EXECUTABLE} --version
    OUTPUT_VARIABLE version
    ERROR_VARIABLE error
    RESULT_VARIABLE code
  )
  if(NOT version MATCHES "^tidewait [0-9]")
    message(FATAL_ERROR "TIDEWAIT_COMMAND_EXECUTABLE is ${TIDEWAIT_COMMAND_EXECUTABLE}, and that does not "
                        "run here as the command tidewait: ${code} ${error}")
  endif()
  add_executable(tidewait::command IMPORTED GLOBAL)
  set_property(TARGET tidewait::command PROPERTY IMPORTED_LOCATION "${TIDEWAIT_COMMAND_EXECUTABLE}")
endfunction()

# Stops a cross build whose tests would be started by a command that is made for the target.
function(_tidewait_require_native_command)
  if(CMAKE_CROSSCOMPILING AND NOT TIDEWAIT_COMMAND_EXECUTABLE)
    message(FATAL_ERROR "tidewait::command is made for ${CMAKE_SYSTEM_PROCESSOR}, and CTest would start it "
                        "on ${CMAKE_HOST_SYSTEM_PROCESSOR}. Build tidewait for the machine that runs ctest, "
                        "and name its command: -D TIDEWAIT_COMMAND_EXECUTABLE=/usr/bin/tidewait")
  endif()
endfunction()

# The command line that goes before that of a test; "" where the launcher is missing. Further
# arguments are options of the launcher.
function(_tidewait_launcher result)
  if(TARGET tidewait::command)
    _tidewait_require_native_command()
    set(launcher $<TARGET_FILE:tidewait::command> run --ctest-measurement --abort ${ARGN})
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
      "the component command is missing. Get it with find_package(tidewait COMPONENTS command), or, "
      "with tidewait as a part of your build, with set(TIDEWAIT_COMMAND ON)"
  )
  string(CONCAT missing ${missing})
  if(arg_PORTS OR arg_ISOLATE STREQUAL "require")
    message(FATAL_ERROR "ISOLATE and PORTS need the command tidewait, and ${missing}")
  endif()
  get_property(said GLOBAL PROPERTY TIDEWAIT_COMMAND_MISSED)
  if(NOT said)
    set_property(GLOBAL PROPERTY TIDEWAIT_COMMAND_MISSED TRUE)
    message(STATUS "tidewait: leaks that outlive a test process, such as a server still alive, are not "
                   "detected, and no test is isolated: ${missing}.")
  endif()
  set(${result} "" PARENT_SCOPE)
endfunction()
