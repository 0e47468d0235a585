# SPDX-License-Identifier: BSL-1.0
#
# Runs in cpack -G DEB, between the installation and the packing, and puts in place what Debian has elsewhere
# or asks of every package: https://www.debian.org/doc/debian-policy/ch-docs.html

string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC) # of SOURCE_DATE_EPOCH, if that is set
set(version ${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
file(READ ${CPACK_RESOURCE_FILE_LICENSE} licence)
string(STRIP "${licence}" licence)
string(REPLACE "\n\n" "\n.\n" licence "${licence}")
string(REPLACE "\n" "\n " licence "${licence}")

foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  string(TOUPPER ${component} name)
  set(name ${CPACK_DEBIAN_${name}_PACKAGE_NAME})
  set(usr ${CPACK_TEMPORARY_DIRECTORY}/${component}/usr)
  set(doc ${usr}/share/doc/${name})

  if(EXISTS ${usr}/share/doc/${CPACK_PACKAGE_NAME} AND NOT name STREQUAL CPACK_PACKAGE_NAME)
    file(RENAME ${usr}/share/doc/${CPACK_PACKAGE_NAME} ${doc})
  endif()
  file(GLOB pages ${doc}/*.md ${doc}/docs/*.md) # link two files whose names Debian chooses
  foreach(page IN LISTS pages)
    file(READ ${page} text)
    string(REPLACE "(LICENSE)" "(copyright)" text "${text}")
    string(REPLACE "CHANGELOG.md)" "changelog.gz)" text "${text}")
    file(WRITE ${page} "${text}")
  endforeach()
  file(REMOVE ${doc}/LICENSE) # is in the copyright file
  if(EXISTS ${doc}/CHANGELOG.md)
    file(RENAME ${doc}/CHANGELOG.md ${doc}/changelog)
  endif()
  file(WRITE ${doc}/copyright
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: ${CPACK_PACKAGE_NAME}

Files: *
Copyright: 2026 the contributors of ${CPACK_PACKAGE_NAME}
License: BSL-1.0

License: BSL-1.0
 ${licence}
")
  file(WRITE ${doc}/changelog.Debian
"${CPACK_PACKAGE_NAME} (${version}) unstable; urgency=medium

  * Packages by CPack of ${CPACK_PACKAGE_NAME} ${CPACK_PACKAGE_VERSION}.

 -- ${CPACK_DEBIAN_PACKAGE_MAINTAINER}  ${date}
")
  if(EXISTS ${usr}/share/zsh) # Debian's zsh reads another folder
    file(RENAME ${usr}/share/zsh/site-functions ${usr}/share/zsh/vendor-completions)
  endif()
  file(GLOB texts ${doc}/changelog ${doc}/changelog.Debian ${usr}/share/man/man*/*)
  execute_process(COMMAND gzip -9n ${texts} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
