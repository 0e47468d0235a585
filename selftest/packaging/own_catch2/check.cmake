# SPDX-License-Identifier: BSL-1.0
expect(COMMAND ${WORK}/build/tests [tidy] EXIT 0 PRINTS "All tests passed")
expect(COMMAND ${WORK}/build/tests [untidy] EXIT "[1-9][0-9]*"
       PRINTS "tidewait: a listener is forgotten left 1 socket behind")
