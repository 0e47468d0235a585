# SPDX-License-Identifier: BSL-1.0
#
# cmake -D MODULE=<TidewaitPolicy.cmake> -D COMMAND=<tidewait> -P policy.cmake
#
# The grammar of rules is written twice, since CMake reads rules before there is a program: both must
# accept the same ones, and what CMake hands on must mean what the project wrote.
cmake_minimum_required(VERSION 3.24)
include(${MODULE})

# Where CMake may refuse what the command reads: an argument is one rule, a text may hold several.
set(several
  "time_wait, listen" "time_wait listen" "time_wait,,bound" "owner=a,b" "test=name, rest"
  "test=name listen" "audit audit" [[test="a" listen]]
)
set(rules
  time_wait TIME-WAIT Time_Wait listen bound udp UDP close unconn UNCONN Unconn established syn_sent
  syn_recv fin_wait1 fin_wait2 close_wait last_ack closing unknown any ANY fail:any warn:any any+listen tolerate:listen
  warn:listen fail:listen Fail:listen warn: fail: warn:fail:listen listen+ +listen listen++bound
  listen+bound listen+listen unconn+listen tme_wait
  port=1 port=65535 port=0 port=65536 port=99999999999999999999 port=00080 port= port=a port=80a
  port=8000-8010 port=8010-8000 port=80- port=-80 port=80-90-100 port=1+port=2 port=80+listen
  path= path=/tmp/a.sock path=/tmp/* path=@name path=a+path=b path=a+port=80 port=80+path=a
  path=/a+listen+owner=b warn:path=* [[path="/tmp/a, b"]] [[path="@a;"]]
  owner= owner=a owner=redis-server owner=a+owner=b owner=a+listen+port=1+test=b owner=+listen
  test= test=* test=Slow.*+listen test=a/b.c?:d test=a=b test=[net] test=$x test=#x
  "test=$<1:x>" test=it's "test=(a)" "test={a}" test=a@b@ test=a|b test=a&b test=`a` test=a%b test=a~b!
  "test=café" " listen" "listen " "listen," ",listen" "" " "
  max_wait=250ms max_wait=2s max_wait=40 max_wait=0 max_wait= max_wait=soon max_wait=1h max_wait=3600s max_wait=3601s
  max_wait=3600000 max_wait=3600001ms max_wait=2s+listen warn:max_wait=2s max_wait=ms max_wait=-1
  tag=net tag=Net*+listen tag= tag=a+tag=b+listen tag=a+test=b [[tag="a b"]] warn:all fail:all warn:all+listen
  @ @none.txt @${CMAKE_CURRENT_LIST_DIR}/../known/known_ports.txt @${CMAKE_CURRENT_LIST_DIR}
  blind=skip blind=fail blind= blind=yes blind=skip+listen audit Audit audit+listen audit=1
  [[test="name, rest"+time_wait]] [[time_wait+test="name, rest"]] [[test="plain"]] [[test=""]] [[test="]]
  [[test="a]] [[test="a\"]] [[test=a"b]] [[test="a"b]] [[test="a"+]] [[test=a\b]] [[test=a\,b]]
  [[test="\n"]] [[test="\x2"]] [[test="\x2g"]] [[test="\x2c"]] [[test="\x2C\x00\xff"]] [[test="\]]
  [[test="\\"]] [[test="\\\\"]] [[test="\\\""]] [[test="\"\\\""]] [[test="\\x41"]] [[test="say \"hi\""]]
  [["listen"]] [[port="80"]] [[test="a"+test="b"]] [[owner="a, b"+test="c+d"+listen]] [[owner="a" ]]
  [[test="[ ] $ < > @ # ( ) { } ' ` & | ~ % ^ = : / ! *"]] [[test="port=1,listen"]] [[test="a	b"]]
)
# Not in a list: a semicolon or a bracket would part or join its items.
set(not_in_a_list_1 [[test="a; b"]])
set(not_in_a_list_2 [[test=a;b]])
set(not_in_a_list_3 [[test="[;"+owner="];"]])
set(not_in_a_list_4 "test=\"two\nlines;\"")
set(not_in_a_list_5 "test=[")
set(not_in_a_list_6 "test=]")
set(not_in_a_list_7 [[test="a]"]])

set(flaws "")
function(check text)
  _tidewait_read_rule("${text}" safe flaw)
  execute_process(
    COMMAND ${COMMAND} policy check "${text}"
    RESULT_VARIABLE code OUTPUT_VARIABLE meaning ERROR_VARIABLE error
  )
  set(wrong "")
  if(code EQUAL 0 AND flaw)
    set(wrong "CMake refuses it: ${flaw}")
  elseif(code EQUAL 2 AND NOT flaw)
    set(wrong "CMake takes it; the command: ${error}")
  elseif(NOT code MATCHES "^[02]$")
    set(wrong "the command ends with ${code}: ${error}")
  elseif(code EQUAL 0)
    string(REGEX REPLACE "^@" "" text_of_safe "${safe}")
    if(text_of_safe MATCHES "[][;$<>@#(){}'`&|\n\t]")
      set(wrong "handed on as ${safe}")
    endif()
    execute_process(COMMAND ${COMMAND} policy check "${safe}" OUTPUT_VARIABLE handed_on)
    if(NOT handed_on STREQUAL meaning)
      set(wrong "it means ${meaning}, and is handed on as ${handed_on}")
    endif()
  endif()
  if(wrong)
    string(APPEND flaws "\n'${text}': ${wrong}")
    set(flaws "${flaws}" PARENT_SCOPE)
  endif()
endfunction()

foreach(text IN LISTS several)
  _tidewait_read_rule("${text}" safe flaw)
  if(NOT flaw)
    string(APPEND flaws "\nCMake takes several rules for one: '${text}'")
  endif()
endforeach()
foreach(text IN LISTS rules)
  check("${text}")
endforeach()
foreach(number RANGE 1 7)
  check("${not_in_a_list_${number}}")
endforeach()

# Lines of a file of rules.
string(RANDOM LENGTH 12 name)
set(file "${CMAKE_CURRENT_BINARY_DIR}/rules of ${name}.txt")
set(lines
  "" "# reason" " \t# reason" listen "  listen\t" "listen # reason" "listen #" "listen# no reason" "#listen"
  "listen time_wait" "listen," "test=a#b" [[test="a, # b" # reason]] [[test="a" "b"]] [[test="a]] lisen
  [[@other.txt]] "max_wait=2s # a setting" audit [[tag="a b"+port=80]] "\r" "listen\r" "port=80\r# x"
)
foreach(line IN LISTS lines)
  file(WRITE "${file}" "listen\n${line}\n")
  check("@\"${file}\"")
endforeach()
file(REMOVE "${file}")
if(flaws)
  message(FATAL_ERROR "${flaws}")
endif()
