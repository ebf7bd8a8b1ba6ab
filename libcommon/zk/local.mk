# SPDX-License-Identifier: Apache-2.0
libzk_a_SOURCES =
