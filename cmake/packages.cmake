# SPDX-License-Identifier: BSL-1.0
#
# cpack -G DEB: libtidewait-dev, for those who compile tests, and tidewait, the command. Neither is made
# for the archive of a distribution. Set CPACK_DEBIAN_PACKAGE_MAINTAINER before you distribute them.

if(CMAKE_VERSION VERSION_LESS 3.19) # no CPACK_PRE_BUILD_SCRIPTS
  return()
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL tidewait_development)
if(TARGET tidewait_command)
  list(APPEND CPACK_COMPONENTS_ALL tidewait_command)
endif()
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package has its own
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/debian_files.cmake)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 0upstream1) # a distribution's own revision replaces it
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
if(NOT CPACK_DEBIAN_PACKAGE_MAINTAINER)
  set(CPACK_DEBIAN_PACKAGE_MAINTAINER "tidewait maintainers <tidewait@example.com>")
endif()

set(in_common "A test that leaves a port in use fails at once, instead of breaking the
next test with \"Address already in use\". The report names the line that
bound the port, says why the next bind fails, and tells what to change.")

# Headers and sources: what is compiled of them, each project compiles.
set(CPACK_DEBIAN_TIDEWAIT_DEVELOPMENT_PACKAGE_NAME libtidewait-dev)
set(CPACK_DEBIAN_TIDEWAIT_DEVELOPMENT_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_TIDEWAIT_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_TIDEWAIT_DEVELOPMENT_PACKAGE_RECOMMENDS "tidewait")
set(CPACK_DEBIAN_TIDEWAIT_DEVELOPMENT_PACKAGE_SUGGESTS
    "catch2 (>= 2.13), cmake (>= 3.16), libboost-dev (>= 1.74), libgtest-dev (>= 1.10), pkg-config")
set(CPACK_DEBIAN_TIDEWAIT_DEVELOPMENT_DESCRIPTION
    "port hygiene for C++ tests - development files
${in_common}

This package has the headers, the package for CMake with its functions for
CTest, the files for pkg-config, and the documentation. The adapters need
the framework that they are for: GoogleTest, Catch2, or Boost for servers
as child processes.")

set(CPACK_DEBIAN_TIDEWAIT_COMMAND_PACKAGE_NAME tidewait)
set(CPACK_DEBIAN_TIDEWAIT_COMMAND_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_TIDEWAIT_COMMAND_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_TIDEWAIT_COMMAND_PACKAGE_SUGGESTS "libtidewait-dev")
set(CPACK_DEBIAN_TIDEWAIT_COMMAND_DESCRIPTION
    "port hygiene for C++ tests - command
${in_common}

This package has the command, which runs a test in any language and fails
it if it leaves a port or a process behind, explains why a bind fails,
leases ports, and shows sockets with the processes that hold them.")

include(CPack)
