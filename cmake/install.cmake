# SPDX-License-Identifier: BSL-1.0
#
# Install tree and build tree, with one export set for each component: a component whose framework is
# missing hinders no other. tidewaitConfig.cmake.in says what each component needs.

include(CMakePackageConfigHelpers)

# What is a package of its own (packages.cmake): the command, and the rest for those who compile.
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME tidewait_development)

set(components core gtest catch2 process command)
set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/tidewait)

foreach(component IN LISTS components)
  if(TARGET tidewait_${component})
    set(export tidewait-${component})
    set_target_properties(tidewait_${component} PROPERTIES EXPORT_NAME ${component})
    set(package ${CMAKE_INSTALL_DEFAULT_COMPONENT_NAME})
    if(component STREQUAL "command")
      set(package tidewait_command)
    endif()
    install(TARGETS tidewait_${component} EXPORT ${export} COMPONENT ${package})
    set(headers include)
    if(NOT component STREQUAL "core")
      set(headers adapters/${component}/include)
    endif()
    if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/${headers})
      install(DIRECTORY ${headers}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    endif()
    if(TARGET tidewait_${component}_auto)
      set_target_properties(tidewait_${component}_auto PROPERTIES EXPORT_NAME ${component}_auto)
      install(TARGETS tidewait_${component}_auto EXPORT ${export})
      install(FILES adapters/${component}/src/${component}_auto.cpp
              DESTINATION ${CMAKE_INSTALL_DATADIR}/tidewait/src)
    endif()
    install(
      EXPORT ${export} NAMESPACE tidewait:: DESTINATION ${package_dir} COMPONENT ${package}
    )
    export(EXPORT ${export} NAMESPACE tidewait:: FILE ${PROJECT_BINARY_DIR}/${export}.cmake)
  endif()
endforeach()

configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/tidewaitConfig.cmake.in ${PROJECT_BINARY_DIR}/tidewaitConfig.cmake
  INSTALL_DESTINATION ${package_dir}
  NO_SET_AND_CHECK_MACRO
)
configure_file(
  cmake/tidewaitConfigVersion.cmake.in ${PROJECT_BINARY_DIR}/tidewaitConfigVersion.cmake @ONLY
)
install(
  FILES ${PROJECT_BINARY_DIR}/tidewaitConfig.cmake ${PROJECT_BINARY_DIR}/tidewaitConfigVersion.cmake
  DESTINATION ${package_dir}
)
file(GLOB modules CONFIGURE_DEPENDS cmake/Tidewait*.cmake)
foreach(file IN ITEMS ${modules} src/library/TidewaitLibrary.cmake src/library/tidewait.cpp
             src/library/witness.cpp adapters/process/src/server_process.cpp)
  install(FILES ${file} DESTINATION ${package_dir})
  configure_file(${file} ${PROJECT_BINARY_DIR} COPYONLY) # for who uses the build tree
endforeach()

install(DIRECTORY src/library/windows DESTINATION ${package_dir}) # a backend that is compiled
file(COPY src/library/windows DESTINATION ${PROJECT_BINARY_DIR})

# pkg-config files, for builds without CMake. They find their prefix from where they lie, so that the tree
# may move.
set(pkgconfig_dir ${CMAKE_INSTALL_DATADIR}/pkgconfig)
if(IS_ABSOLUTE "${CMAKE_INSTALL_DATADIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(pc_includedir ${CMAKE_INSTALL_FULL_INCLUDEDIR})
  set(pc_datadir ${CMAKE_INSTALL_FULL_DATADIR})
else()
  file(RELATIVE_PATH up /${pkgconfig_dir} /${CMAKE_INSTALL_INCLUDEDIR})
  set(pc_includedir "\${pcfiledir}/${up}")
  set(pc_datadir "\${pcfiledir}/..")
endif()
foreach(package IN ITEMS tidewait tidewait-compiled tidewait-gtest tidewait-catch2 tidewait-process)
  string(REGEX REPLACE "tidewait-" "tidewait_" target ${package})
  if(TARGET ${target} OR package MATCHES "^tidewait(-compiled)?$")
    configure_file(cmake/${package}.pc.in ${PROJECT_BINARY_DIR}/${package}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${package}.pc DESTINATION ${pkgconfig_dir})
  endif()
endforeach()

# As in the sources, so that links from one page to another lead on.
install(FILES CHANGELOG.md CONTRIBUTING.md LICENSE README.md SECURITY.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR}
        FILES_MATCHING PATTERN *.md PATTERN *.svg PATTERN *.png PATTERN CMakeLists.txt PATTERN *.[ch]pp PATTERN *.py)
