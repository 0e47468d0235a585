# SPDX-License-Identifier: BSL-1.0
#
# cmake -D ROOT=<directory> -P layering.cmake
#
# Who may include what; no header over 300 lines; the umbrella includes and does nothing else.

# Kinds of headers, by the name between <> or "".
file(GLOB core RELATIVE ${ROOT}/include ${ROOT}/include/tidewait/*.hpp)
list(JOIN core "|" core)
string(JOIN "|" values bind_environment bind_outcome cause coverage endpoint lease_note look_depth port_rules process protocol socket_entry
       source_location version)
set(values "tidewait/(${values})[.]hpp")
set(logic "tidewait/(diagnosis|error|policy|policy_text|report)[.]hpp")
set(detail "tidewait/detail/[^/]+")
set(impl "tidewait/impl/[^/]+")
set(linux "tidewait/detail/linux/.+")
set(split "tidewait/(detail/compiled|impl/endpoint)[.]hpp")
set(std "[a-z_]+")
set(os ".+[.]h")
set(gtest "gtest/.+|tidewait/gtest[.]hpp")
set(catch2 "catch2/.+|tidewait/catch2([.]hpp|/.+)")
set(boost "boost/.+")
set(server "tidewait/(server_[a-z]+|listen_target|detail/process/.+)[.]hpp")
set(command "[^/]+[.]hpp|CLI/.+|nlohmann/.+")

set(flaws "")
file(GLOB_RECURSE files RELATIVE ${ROOT}
     ${ROOT}/include/*.hpp ${ROOT}/adapters/*.[ch]pp ${ROOT}/library/*.[ch]pp ${ROOT}/src/*.[ch]pp)

# layer(<pattern> <kind>...): what those of the remaining files may include that match the pattern.
macro(layer pattern)
  set(allowed "")
  foreach(kind ${ARGN})
    list(APPEND allowed "${${kind}}")
  endforeach()
  list(JOIN allowed "|" allowed)
  string(JOIN " " kinds ${ARGN})

  set(layer ${files})
  list(FILTER layer INCLUDE REGEX "^${pattern}$")
  list(REMOVE_ITEM files ${layer})
  foreach(file IN LISTS layer)
    file(STRINGS ${ROOT}/${file} includes REGEX "^ *# *include ")
    list(TRANSFORM includes REPLACE ".*[<\"](.+)[>\"].*" "\\1")
    list(FILTER includes EXCLUDE REGEX "^(${allowed})$")
    foreach(include IN LISTS includes)
      string(APPEND flaws "\n  ${file} includes ${include}, but may include only: ${kinds}")
    endforeach()
  endforeach()
endmacro()

# Foreign text reaches a standard stream of the command only through command.cpp, which encodes it.
set(writers "std::(cerr|cout|clog|wcerr|wcout)|[^_a-z](perror|v?f?printf|v?dprintf|f?puts|putchar|fputc|fwrite)\\("
            "|write(_all|v)?\\((STD|1,|2,)|std(out|err)[,)]")
string(CONCAT writers ${writers})
foreach(file IN LISTS files)
  if(file MATCHES "^src/" AND NOT file STREQUAL "src/command.cpp")
    file(STRINGS ${ROOT}/${file} lines REGEX "${writers}")
    foreach(line IN LISTS lines)
      string(STRIP "${line}" line)
      string(APPEND flaws "\n  ${file} writes past print() and say(): ${line}")
    endforeach()
  endif()
endforeach()

set(headers ${files})
list(FILTER headers INCLUDE REGEX "[.]hpp$")
foreach(header IN LISTS headers)
  file(READ ${ROOT}/${header} text)
  string(REGEX MATCHALL "\n" lines "${text}")
  list(LENGTH lines lines)
  if(lines GREATER 300)
    string(APPEND flaws "\n  ${header} has ${lines} lines, but 300 are enough")
  endif()
endforeach()

layer("include/tidewait/endpoint[.]hpp" std values split)
layer("include/${values}" std values)
layer("include/tidewait/impl/(diagnosis|endpoint|policy|report)[.]hpp" std values logic detail)
layer("include/${logic}" std values logic detail impl)
layer("include/${detail}" std values logic detail)
layer("include/${linux}" std values logic detail linux os)
layer("include/tidewait/impl/.+" std core detail linux)
layer("include/tidewait/[^/]+" std core detail linux impl)
layer("library/.+" detail impl)
layer("adapters/gtest/.+" std core gtest)
layer("adapters/catch2/.+" std core catch2)
layer("adapters/process/.+" std core detail linux os boost server)
layer("src/.+" std core detail linux os command)

foreach(file IN LISTS files)
  string(APPEND flaws "\n  ${file} is in no layer")
endforeach()

set(umbrella include/tidewait/tidewait.hpp)
if(EXISTS ${ROOT}/${umbrella})
  file(STRINGS ${ROOT}/${umbrella} code REGEX "^([^/#]|#[^ip])")
  if(code)
    string(APPEND flaws "\n  ${umbrella} does more than include: ${code}")
  endif()
endif()

if(flaws)
  message(FATAL_ERROR "Layers are mixed:${flaws}")
endif()
