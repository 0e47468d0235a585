# SPDX-License-Identifier: BSL-1.0
. "$LIBRARY"
show 'tidewait doctor | head -7'
