# SPDX-License-Identifier: Apache-2.0
# The floor that the programs share, one library a layer; each may use those before it only.

noinst_LIBRARIES += libbase.a libcodec.a libsys.a libio.a libzk.a libjob.a

include libcommon/base/local.mk
include libcommon/codec/local.mk
include libcommon/sys/local.mk
include libcommon/io/local.mk
include libcommon/zk/local.mk
include libcommon/job/local.mk
