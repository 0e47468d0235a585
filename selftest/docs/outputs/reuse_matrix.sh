# SPDX-License-Identifier: BSL-1.0
. "$LIBRARY"
python3 reuse_matrix.py
