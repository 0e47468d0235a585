# SPDX-License-Identifier: BSL-1.0
#
# tidewait_compiled: the functions that <tidewait/detail/compiled.hpp> leaves out of the headers;
# tidewait_process_compiled: those of servers as child processes, and with them Boost. They are made in the
# project that uses them, with its flags, and tidewait::core and tidewait::process link them where they
# exist. With TIDEWAIT_HEADER_ONLY, or in a project without C++, they do not, and the headers are complete
# alone.

# On Windows tidewait_compiled also has the backend, the only part that includes the system's headers, so
# there the headers alone do not suffice.

# _tidewait_compile(<component> <library> SOURCES <source>... [LINK <library>...])
function(_tidewait_compile component library)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "SOURCES;LINK")
  add_library(${library} STATIC EXCLUDE_FROM_ALL ${arg_SOURCES})
  # The first standard that serves, whatever the project's own: it may be C++14.
  target_compile_features(${library} PRIVATE cxx_std_17)
  target_compile_definitions(${library} PRIVATE TIDEWAIT_COMPILED)
  # Not by linking the component, which links this.
  target_include_directories(
    ${library} PRIVATE $<TARGET_PROPERTY:tidewait::core,INTERFACE_INCLUDE_DIRECTORIES>
                       $<TARGET_PROPERTY:tidewait::${component},INTERFACE_INCLUDE_DIRECTORIES>
  )
  target_link_libraries(${library} PRIVATE Threads::Threads ${arg_LINK})
  # Not the user's code: whatever the project demands of its own does not count here.
  target_compile_options(${library} PRIVATE -w -fexceptions)
  # Where the compiler's default is C++17 or later, CMake leaves an older one that stands there alone.
  if(CMAKE_CXX_FLAGS MATCHES "-std=(c|gnu)[+][+](98|03|0x|11|1y|14)")
    target_compile_options(${library} PRIVATE -std=gnu++17)
  endif()
  set_target_properties(
    ${library}
    PROPERTIES POSITION_INDEPENDENT_CODE ON
               CXX_CLANG_TIDY ""
               CXX_CPPCHECK ""
               CXX_CPPLINT ""
               CXX_INCLUDE_WHAT_YOU_USE ""
  )
endfunction()

get_property(_tidewait_languages GLOBAL PROPERTY ENABLED_LANGUAGES)
if(CXX IN_LIST _tidewait_languages AND NOT TIDEWAIT_HEADER_ONLY)
  # In an install tree all sources lie beside this one.
  if(NOT TARGET tidewait_compiled)
    _tidewait_compile(core tidewait_compiled SOURCES ${CMAKE_CURRENT_LIST_DIR}/tidewait.cpp)
    if(WIN32)
      file(GLOB _tidewait_backend ${CMAKE_CURRENT_LIST_DIR}/windows/*.cpp)
      target_sources(tidewait_compiled PRIVATE ${_tidewait_backend})
      target_link_libraries(tidewait_compiled PUBLIC ws2_32 iphlpapi advapi32)
      unset(_tidewait_backend)
    endif()
  endif()
  if(TARGET tidewait::process AND NOT TARGET tidewait_process_compiled)
    set(_tidewait_source ${CMAKE_CURRENT_LIST_DIR}/server_process.cpp)
    if(NOT EXISTS ${_tidewait_source})
      set(_tidewait_source ${CMAKE_CURRENT_LIST_DIR}/../../adapters/process/src/server_process.cpp)
    endif()
    _tidewait_compile(
      process tidewait_process_compiled SOURCES ${_tidewait_source} LINK tidewait_compiled
    )
    if(NOT WIN32)
      target_link_libraries(tidewait_process_compiled PRIVATE Boost::headers)
    endif()
    unset(_tidewait_source)
  endif()
endif()
if(WIN32 AND TIDEWAIT_HEADER_ONLY)
  message(FATAL_ERROR "On Windows tidewait is not header-only: unset TIDEWAIT_HEADER_ONLY")
endif()
unset(_tidewait_languages)

# Whether tests that link an adapter have their binds witnessed (<tidewait/witness.hpp>). A library of its
# own, so that nobody else gets it; the linker is told to look for it, as nothing refers to it.
option(TIDEWAIT_WITNESS "Record which code of a test binds which port" ON)
mark_as_advanced(TIDEWAIT_WITNESS)
if(TIDEWAIT_WITNESS AND NOT WIN32 AND TARGET tidewait_compiled AND NOT TARGET tidewait_witness)
  _tidewait_compile(
    core tidewait_witness_compiled SOURCES ${CMAKE_CURRENT_LIST_DIR}/witness.cpp LINK tidewait_compiled
  )
  add_library(tidewait_witness INTERFACE)
  target_link_libraries(
    tidewait_witness INTERFACE -Wl,-u,tidewait_witnessed_bind tidewait_witness_compiled
  )
endif()
