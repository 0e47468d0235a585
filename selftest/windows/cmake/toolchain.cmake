# SPDX-License-Identifier: BSL-1.0
#
# MinGW-w64 of Debian, with POSIX threads, and Wine to run what it makes. Nothing of this system is found
# but programs: its headers are not for Windows. Find*.cmake beside this file fetch what is.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc-posix)
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
set(CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static) # one file, that runs where no compiler is
set(CMAKE_CROSSCOMPILING_EMULATOR wine)
set(CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
