# SPDX-License-Identifier: BSL-1.0
#[=======================================================================[.rst:
TidewaitFrameworks
------------------

Which of the frameworks a program links, and whether it links one of them twice. Internal.
#]=======================================================================]

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
