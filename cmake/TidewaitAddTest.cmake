# SPDX-License-Identifier: BSL-1.0
#[=======================================================================[.rst:
TidewaitAddTest
---------------

.. command:: tidewait_add_test

  Adds one test to CTest, in any language, run by the launcher:

  .. code-block:: cmake

    tidewait_add_test(NAME name COMMAND command [arg...]
                      [CONFIGURATIONS config...] [WORKING_DIRECTORY directory] [COMMAND_EXPAND_LISTS]
                      [ISOLATE [PREFER]] [PORTS n] [FIXED_PORTS port...]
                      [TOLERATE rule...] [MAX_WAIT duration] [JOURNAL file|OFF])

  As ``add_test(NAME)``, with the options of :module:`TidewaitDiscoverTests`.

#]=======================================================================]

function(tidewait_add_test)
  foreach(index RANGE ${ARGC})
    set(argument_${index} "${ARGV${index}}")
  endforeach()
  math(EXPR last "${ARGC} - 1")
  _tidewait_parse(COMMAND 0 ${last})
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
  set(code "add_test(${arg_BEFORE} [==[${command}]==]${arg_AFTER})")
  _tidewait_run(code)

  _tidewait_properties(properties)
  _tidewait_environment(properties TIDEWAIT_TEST set "${arg_NAME}")
  while(properties)
    list(POP_FRONT properties key value)
    set_property(TEST "${arg_NAME}" APPEND PROPERTY ${key} "${value}")
  endwhile()
endfunction()
