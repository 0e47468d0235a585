# SPDX-License-Identifier: BSL-1.0
#
# Install tree and build tree, with one export set for each component: a component whose framework is
# missing hinders no other. tidewaitConfig.cmake.in says what each component needs.

include(CMakePackageConfigHelpers)

set(components core gtest catch2 process command)
set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/tidewait)

foreach(component IN LISTS components)
  if(TARGET tidewait_${component})
    set(export tidewait-${component})
    set_target_properties(tidewait_${component} PROPERTIES EXPORT_NAME ${component})
    install(TARGETS tidewait_${component} EXPORT ${export} FILE_SET HEADERS)
    if(TARGET tidewait_${component}_auto)
      set_target_properties(tidewait_${component}_auto PROPERTIES EXPORT_NAME ${component}_auto)
      install(TARGETS tidewait_${component}_auto EXPORT ${export})
      install(FILES adapters/${component}/src/${component}_auto.cpp
              DESTINATION ${CMAKE_INSTALL_DATADIR}/tidewait/src)
    endif()
    install(EXPORT ${export} NAMESPACE tidewait:: DESTINATION ${package_dir})
    export(EXPORT ${export} NAMESPACE tidewait:: FILE ${PROJECT_BINARY_DIR}/${export}.cmake)
  endif()
endforeach()

configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/tidewaitConfig.cmake.in ${PROJECT_BINARY_DIR}/tidewaitConfig.cmake
  INSTALL_DESTINATION ${package_dir}
  NO_SET_AND_CHECK_MACRO
)
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/tidewaitConfigVersion.cmake
  COMPATIBILITY SameMinorVersion
  ARCH_INDEPENDENT
)
install(
  FILES ${PROJECT_BINARY_DIR}/tidewaitConfig.cmake ${PROJECT_BINARY_DIR}/tidewaitConfigVersion.cmake
  DESTINATION ${package_dir}
)
file(GLOB modules CONFIGURE_DEPENDS cmake/Tidewait*.cmake)
foreach(file IN ITEMS ${modules} src/library/TidewaitLibrary.cmake src/library/tidewait.cpp
             src/library/witness.cpp)
  install(FILES ${file} DESTINATION ${package_dir})
  configure_file(${file} ${PROJECT_BINARY_DIR} COPYONLY) # for who uses the build tree
endforeach()

# pkg-config file of the core. It finds its prefix from where it lies, so that the tree may move.
set(pkgconfig_dir ${CMAKE_INSTALL_DATADIR}/pkgconfig)
if(IS_ABSOLUTE "${pkgconfig_dir}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(pc_includedir ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
  cmake_path(RELATIVE_PATH CMAKE_INSTALL_INCLUDEDIR BASE_DIRECTORY ${pkgconfig_dir} OUTPUT_VARIABLE up)
  set(pc_includedir "\${pcfiledir}/${up}")
endif()
file(
  CONFIGURE
  OUTPUT ${PROJECT_BINARY_DIR}/tidewait.pc
  CONTENT [[
includedir=@pc_includedir@

Name: tidewait
Description: @PROJECT_DESCRIPTION@
Version: @PROJECT_VERSION@
Cflags: -I${includedir} -pthread
Libs: -pthread
]]
  @ONLY
)
install(FILES ${PROJECT_BINARY_DIR}/tidewait.pc DESTINATION ${pkgconfig_dir})

install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
