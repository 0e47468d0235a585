# SPDX-License-Identifier: BSL-1.0
#
# cmake -D ROOT=<directory> -P layering.cmake
#
# Who may include what; no header over 300 lines, no test over 400; the umbrella includes and does nothing else.

# Kinds of headers, by the name between <> or "".
file(GLOB core RELATIVE ${ROOT}/include ${ROOT}/include/tidewait/*.hpp)
list(JOIN core "|" core)
string(JOIN "|" values bind cause endpoint process socket_entry socket_state source_location unix_entry version
       visibility)
set(values "tidewait/(${values})[.]hpp")
set(notes "tidewait/detail/(lease_note|look_depth|unix_bind_facts)[.]hpp")
set(logic "tidewait/(diagnosis|error|policy|report|unix_diagnosis)[.]hpp")
set(detail "tidewait/detail/[^/]+")
set(impl "tidewait/detail/impl/[^/]+")
set(linux "tidewait/detail/linux/.+")
set(windows "tidewait/detail/windows/.+")
set(choice "tidewait/detail/os[.]hpp")
set(seam "tidewait/detail/(os_(calls|handles|words)|witnessed_calls)[.]hpp")
set(split "tidewait/detail/(compiled|impl/endpoint)[.]hpp")
set(requirements "tidewait/detail/requirements[.]hpp")
set(std "[a-z_]+")
set(os ".+[.]h")
set(gtest "gtest/.+|tidewait/gtest[.]hpp")
set(catch2 "catch2/.+|catch(_amalgamated)?[.]hpp|.*TIDEWAIT_CATCH2_HEADER|tidewait/catch2([.]hpp|/.+)")
set(boost "boost/.+")
set(server "tidewait/(server_[a-z]+|listen_target|detail/process/.+)[.]hpp")
set(command "([.][.]/)?[^/]+[.]hpp|CLI/.+|nlohmann/.+")

set(flaws "")
file(GLOB_RECURSE files RELATIVE ${ROOT}
     ${ROOT}/include/*.hpp ${ROOT}/adapters/*.[ch]pp ${ROOT}/src/*.[ch]pp)

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
            "|write(_all|v)?\\((STD|1,|2,)|std(out|err)[,)]|write_(to_stream|quietly)\\(")
string(CONCAT writers ${writers})
foreach(file IN LISTS files)
  if(file MATCHES "^src/" AND NOT file MATCHES "^src/command/(command|(windows/)?streams)[.][ch]pp$")
    file(STRINGS ${ROOT}/${file} lines REGEX "${writers}")
    foreach(line IN LISTS lines)
      string(STRIP "${line}" line)
      string(APPEND flaws "\n  ${file} writes past print() and say(): ${line}")
    endforeach()
  endif()
endforeach()

# Nobody but a backend, the adapter that starts processes and the command asks the operating system.
set(asks "::get(pid|ppid|uid|euid|gid)\\(|getenv\\(|AT_FDCWD|[^_]proc_path\\(|[^a-z_]sys[.][a-z]+\\(")
foreach(file IN LISTS files)
  if(NOT file MATCHES "^(include/tidewait/detail/linux|adapters/process|src/command)/")
    file(STRINGS ${ROOT}/${file} lines REGEX "${asks}")
    foreach(line IN LISTS lines)
      string(STRIP "${line}" line)
      string(APPEND flaws "\n  ${file} asks the system past detail/os_calls.hpp: ${line}")
    endforeach()
  endif()
endforeach()

# What fails throws (see error.hpp): no public function sets an error_code or fills what a pointer names,
# and what a header says that it throws can be caught with that header alone.
foreach(file IN LISTS files)
  if(file MATCHES "include/tidewait/[a-z0-9_]+[.]hpp$")
    file(READ ${ROOT}/${file} text)
    if(text MATCHES "Throws `(lease|observe|policy)_error`" AND NOT text MATCHES "#include <tidewait/error.hpp>"
       AND NOT file STREQUAL "include/tidewait/error.hpp")
      string(APPEND flaws "\n  ${file} throws what it does not declare")
    endif()
    file(STRINGS ${ROOT}/${file} lines REGEX "std::error_code&|[a-z0-9_>]\\* [a-z_]+( = nullptr)?[,)]")
    list(FILTER lines EXCLUDE REGEX "const std::error_code&|const [a-z0-9_:<>]+\\* [a-z_]+( = nullptr)?[,)]")
    foreach(line IN LISTS lines)
      string(STRIP "${line}" line)
      if(line) # what is behind a semicolon is an item of its own
        string(APPEND flaws "\n  ${file} has an out-parameter: ${line}")
      endif()
    endforeach()
  endif()
endforeach()

# One header asks which system it is.
foreach(file IN LISTS files)
  if(NOT file MATCHES "^include/tidewait/detail/os[.]hpp$")
    file(STRINGS ${ROOT}/${file} lines REGEX "^ *# *(el)?if.*(_WIN32|_WIN64|__MINGW|__linux__)")
    foreach(line IN LISTS lines)
      if(NOT line MATCHES "__linux__" OR NOT file MATCHES "^(include/tidewait/detail/linux|src/command)/")
        string(STRIP "${line}" line)
        string(APPEND flaws "\n  ${file} asks for the system past detail/os.hpp: ${line}")
      endif()
    endforeach()
  endif()
endforeach()

# What comes with a test program is used after the destructors of static objects: it destroys none.
set(destroyed "^ +static (const )?std::[a-z_]+(<.*>)? [a-z_]+( =|{|$)")
foreach(file IN LISTS files)
  if(NOT file MATCHES "^src/command/")
    file(STRINGS ${ROOT}/${file} lines REGEX "${destroyed}")
    list(FILTER lines EXCLUDE REGEX "std::(mutex|atomic|once_flag|error_code)")
    foreach(line IN LISTS lines)
      string(STRIP "${line}" line)
      if(line) # what is behind a semicolon is an item of its own
        string(APPEND flaws "\n  ${file} destroys at the end what may still be used: ${line}")
      endif()
    endforeach()
  endif()
endforeach()

# What is private stays out of the adapters that users copy from, the examples and the docs.
file(GLOB_RECURSE shown RELATIVE ${ROOT}
     ${ROOT}/adapters/gtest/*.[ch]pp ${ROOT}/adapters/catch2/*.[ch]pp ${ROOT}/examples/*.[ch]pp
     ${ROOT}/docs/*.md)
file(GLOB readme RELATIVE ${ROOT} ${ROOT}/README.md) # not by a search through all that is built here
list(APPEND shown ${readme})
list(REMOVE_ITEM shown docs/architecture.md) # for maintainers
foreach(file IN LISTS shown)
  file(STRINGS ${ROOT}/${file} lines REGEX "tidewait::detail::|[^:a-z]detail::|tidewait/detail/")
  foreach(line IN LISTS lines)
    string(STRIP "${line}" line)
    string(APPEND flaws "\n  ${file} shows what is private: ${line}")
  endforeach()
endforeach()

# What an adapter keeps to itself is in a namespace of its own.
file(GLOB_RECURSE adapters RELATIVE ${ROOT} ${ROOT}/adapters/*.[ch]pp)
foreach(file IN LISTS adapters)
  file(STRINGS ${ROOT}/${file} opened REGEX "^namespace detail ")
  if(opened)
    string(APPEND flaws "\n  ${file} adds to tidewait::detail, which is the core's")
  endif()
endforeach()

# limit(<kind> <lines> <file>...): what is longer cannot be taken in at once.
macro(limit kind most)
  foreach(file ${ARGN})
    file(READ ${ROOT}/${file} text)
    string(REGEX MATCHALL "\n" lines "${text}")
    list(LENGTH lines lines)
    if(lines GREATER ${most})
      string(APPEND flaws "\n  ${file} has ${lines} lines, but ${most} are enough for a ${kind}")
    endif()
  endforeach()
endmacro()
set(headers ${files})
list(FILTER headers INCLUDE REGEX "[.]hpp$")
limit(header 300 ${headers})
file(GLOB_RECURSE tests RELATIVE ${ROOT} ${ROOT}/selftest/*.[ch]pp ${ROOT}/selftest/*.py ${ROOT}/selftest/*.cmake)
list(FILTER tests EXCLUDE REGEX "^selftest/layering/flawed/")
limit(test 400 ${tests})

# Names of files of this system; a test's backend is one of its own.
set(backend ".*TIDEWAIT_((SERVER_)?BACKEND|OS_[A-Z]+).*")
layer("include/${choice}")
layer("include/${seam}" choice backend)
layer("include/${notes}" std values)
layer("include/tidewait/endpoint[.]hpp" std values split)
layer("include/${values}" std values requirements)
layer("include/tidewait/detail/impl/(diagnosis|endpoint|policy|policy_text|report|unix_diagnosis)[.]hpp" std values logic detail impl)
layer("include/tidewait/detail/impl/unix_report[.]hpp" std values logic detail impl)
layer("include/${logic}" std values logic detail impl)
layer("include/${linux}" std values logic detail linux os)
layer("include/${windows}" std values logic detail windows) # a user gets no header of the system
layer("include/tidewait/detail/impl/policy_file[.]hpp" std core detail impl)
layer("include/${impl}" std core detail)
layer("include/${detail}" std core detail)
layer("include/tidewait/[^/]+" std core detail impl)
layer("src/library/windows/.+" std values logic detail windows os command)
layer("src/library/.+" core detail impl)
layer("adapters/gtest/.+" std core gtest)
layer("adapters/catch2/.+" std core catch2)
layer("adapters/process/.+/windows/.+" std core detail windows server) # a user gets no header of the system
layer("adapters/process/.+" std core detail linux os boost server backend)
layer("src/command/windows/.+" std core detail windows os command)
layer("src/command/.+" std core detail linux os command)

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
