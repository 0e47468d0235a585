# SPDX-License-Identifier: BSL-1.0
#
# What Debian's checker says of the packages that packaging.deb made. Errors fail; warnings, which differ from
# version to version, are only shown.
find_program(LINTIAN lintian)
file(GLOB packages ${WORK}/*.deb)
if(NOT LINTIAN OR NOT packages)
  message("Skipped: there is no lintian, or no package")
  return()
endif()
execute_process(
  COMMAND ${LINTIAN} --allow-root --fail-on error ${packages} COMMAND_ERROR_IS_FATAL ANY
)
