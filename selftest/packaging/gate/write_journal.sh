# SPDX-License-Identifier: BSL-1.0
#
# A line such as a test writes whose server listens on every address.
printf '{"journal":1,"event":"listening","test":"journaled","ctest":"journaled","protocol":"tcp","state":"LISTEN","local":"0.0.0.0:80","cookie":"1","namespace":"1","pid":%d,"run":"0123456789abcdef","command":"","leased_at":"","time":%s}\n' \
  $$ "$(date +%s%3N)" >>"$TIDEWAIT_JOURNAL"
