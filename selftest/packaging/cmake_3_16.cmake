# SPDX-License-Identifier: BSL-1.0
#
# What runs in the project of a user uses nothing that came after CMake 3.16, unless it asks for the
# version before. It reads the commands, and so finds only those that are listed here: with an older CMake
# at hand, TIDEWAIT_OLD_CMAKE has the real projects tried.

set(newer
  "cmake_language" "cmake_path" "block\\(" "PROPAGATE" "COMMAND_ERROR_IS_FATAL" "COMMAND_ECHO"
  "file\\((CONFIGURE|CHMOD|REAL_PATH|COPY_FILE|ARCHIVE_EXTRACT|ARCHIVE_CREATE)" "string\\(JSON"
  "FILE_SET" "ENVIRONMENT_MODIFICATION" "ZIP_LISTS" "NO_CACHE" "PATH_EQUAL" "PROJECT_IS_TOP_LEVEL"
  "CMAKE_CURRENT_FUNCTION" "DISCOVERY_MODE" "[ (]DEFER"
  "\\$<(PATH|LIST|BUILD_LOCAL_INTERFACE|DEVICE_LINK|LINK_LIBRARY|LINK_GROUP|TARGET_RUNTIME_DLLS)"
)
list(JOIN newer "|" newer)

file(GLOB files ${TIDEWAIT_SOURCE}/cmake/Tidewait*.cmake ${TIDEWAIT_SOURCE}/cmake/*.cmake.in)
list(APPEND files
  ${TIDEWAIT_SOURCE}/CMakeLists.txt
  ${TIDEWAIT_SOURCE}/cmake/install.cmake
  ${TIDEWAIT_SOURCE}/src/library/TidewaitLibrary.cmake
  ${TIDEWAIT_SOURCE}/adapters/gtest/CMakeLists.txt
  ${TIDEWAIT_SOURCE}/adapters/catch2/CMakeLists.txt
  ${TIDEWAIT_SOURCE}/adapters/process/CMakeLists.txt
)
set(flaws "")
foreach(file IN LISTS files)
  file(READ ${file} text)
  # The documentation; then what stands in a branch of its own, if(... CMAKE_VERSION ...) to endif().
  string(FIND "${text}" "\n#]====" end)
  if(NOT end EQUAL -1)
    string(SUBSTRING "${text}" ${end} -1 text)
  endif()
  string(REGEX REPLACE "\\([ \n]+" "(" text "${text}")
  string(REPLACE ";" " " text "${text}")
  string(REPLACE "[" "(" text "${text}")
  string(REPLACE "]" ")" text "${text}")
  string(REPLACE "\n" ";" lines "${text}")
  set(depth 0) # in such a branch
  foreach(line IN LISTS lines)
    if(line MATCHES "^ *if\\(" AND (depth OR line MATCHES "CMAKE_VERSION"))
      math(EXPR depth "${depth} + 1")
    elseif(line MATCHES "^ *endif" AND depth)
      math(EXPR depth "${depth} - 1")
    elseif(line MATCHES "${newer}" AND NOT depth AND NOT line MATCHES "^ *#")
      file(RELATIVE_PATH name ${TIDEWAIT_SOURCE} ${file})
      list(APPEND flaws "${name} needs more than CMake 3.16: ${line}")
    endif()
  endforeach()
endforeach()
list(JOIN flaws "\n  " flaws)
if(flaws)
  message(FATAL_ERROR "${flaws}")
endif()
