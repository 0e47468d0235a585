# SPDX-License-Identifier: BSL-1.0
#
# tidewait_compiled: the functions that <tidewait/detail/compiled.hpp> leaves out of the headers. It is made
# in the project that uses them, with its flags, and tidewait::core links it where it exists. With
# TIDEWAIT_HEADER_ONLY, or in a project without C++, it does not, and the headers are complete alone.

get_property(_tidewait_languages GLOBAL PROPERTY ENABLED_LANGUAGES)
if(CXX IN_LIST _tidewait_languages AND NOT TIDEWAIT_HEADER_ONLY AND NOT TARGET tidewait_compiled)
  add_library(
    tidewait_compiled STATIC EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/tidewait.cpp
                                              ${CMAKE_CURRENT_LIST_DIR}/witness.cpp
  )
  target_compile_features(tidewait_compiled PRIVATE cxx_std_17)
  target_compile_definitions(tidewait_compiled PRIVATE TIDEWAIT_COMPILED)
  # Not by linking tidewait::core, which links this.
  target_include_directories(
    tidewait_compiled PRIVATE $<TARGET_PROPERTY:tidewait::core,INTERFACE_INCLUDE_DIRECTORIES>
  )
  target_link_libraries(tidewait_compiled PRIVATE Threads::Threads)
  # Not the user's code: whatever the project demands of its own does not count here.
  target_compile_options(tidewait_compiled PRIVATE -w)
  set_target_properties(
    tidewait_compiled
    PROPERTIES POSITION_INDEPENDENT_CODE ON
               CXX_CLANG_TIDY ""
               CXX_CPPCHECK ""
               CXX_CPPLINT ""
               CXX_INCLUDE_WHAT_YOU_USE ""
  )
endif()
unset(_tidewait_languages)

# Whether tests that link an adapter have their binds witnessed (<tidewait/witness.hpp>). The linker is
# told to look for the witness, as nothing else refers to it.
set(TIDEWAIT_WITNESS ON CACHE BOOL "Record which code of a test binds which port")
mark_as_advanced(TIDEWAIT_WITNESS)
if(TIDEWAIT_WITNESS AND TARGET tidewait_compiled AND NOT TARGET tidewait_witness)
  add_library(tidewait_witness INTERFACE)
  target_link_libraries(tidewait_witness INTERFACE -Wl,-u,tidewait_witnessed_bind tidewait_compiled)
endif()
