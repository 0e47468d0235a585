# SPDX-License-Identifier: BSL-1.0
#
# cmake -D ROOT=<directory> -P snippets.cmake
#
# Each cpp and cmake block of *.md and docs/*.md quotes whole lines of a file that is built or tested.
# The line before the block names it:
#
#   <!-- examples/foo.cpp -->          from anywhere in that file
#   <!-- examples/foo.cpp [name] -->   from between two lines "// [name]" (in CMake "# [name]")

set(opening "\n(<!-- ([^ \n]+)( \\[([^]\n]+)\\])? -->\n)?```(cpp|cmake)\n")

# Sets <flaw> to what is wrong with a <block> from a <region> of <source>, "" if nothing is.
function(check block source region flaw)
  set(${flaw} "" PARENT_SCOPE)
  if(NOT source)
    set(${flaw} "no line before it names its source" PARENT_SCOPE)
    return()
  elseif(NOT EXISTS ${ROOT}/${source})
    set(${flaw} "there is no ${source}" PARENT_SCOPE)
    return()
  endif()

  set(place ${source})
  file(READ ${ROOT}/${source} text)
  if(region)
    set(place "${source} [${region}]")
    string(FIND "${text}" " [${region}]\n" begin)
    string(FIND "${text}" " [${region}]\n" end REVERSE)
    if(begin EQUAL end)
      set(${flaw} "${source} has no two lines [${region}]" PARENT_SCOPE)
      return()
    endif()
    math(EXPR length "${end} - ${begin}")
    string(SUBSTRING "${text}" ${begin} ${length} text)
  endif()

  string(FIND "\n${text}" "\n${block}\n" at)
  if(at EQUAL -1)
    set(${flaw} "not lines of ${place}" PARENT_SCOPE)
  endif()
endfunction()

set(flaws "")
file(GLOB pages RELATIVE ${ROOT} ${ROOT}/*.md ${ROOT}/docs/*.md)
foreach(page IN LISTS pages)
  file(READ ${ROOT}/${page} rest)
  string(PREPEND rest "\n")
  while(rest MATCHES "${opening}")
    set(source "${CMAKE_MATCH_2}")
    set(region "${CMAKE_MATCH_4}")
    string(FIND "${rest}" "${CMAKE_MATCH_0}" begin)
    string(LENGTH "${CMAKE_MATCH_0}" length)
    math(EXPR begin "${begin} + ${length}")
    string(SUBSTRING "${rest}" ${begin} -1 rest)
    string(FIND "${rest}" "\n```" end)
    string(SUBSTRING "${rest}" 0 ${end} block)
    string(SUBSTRING "${rest}" ${end} -1 rest)

    check("${block}" "${source}" "${region}" flaw)
    if(flaw)
      string(REPLACE "\n" "\n    " block "${block}")
      string(APPEND flaws "\n  ${page}: ${flaw}:\n    ${block}")
    endif()
  endwhile()
endforeach()

if(flaws)
  message(FATAL_ERROR "Code blocks that are not quoted:${flaws}")
endif()
