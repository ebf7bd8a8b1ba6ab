# SPDX-License-Identifier: Apache-2.0
libbase_a_SOURCES = \
	libcommon/base/amount.c libcommon/base/amount.h \
	libcommon/base/buf.c libcommon/base/buf.h \
	libcommon/base/hash.c libcommon/base/hash.h \
	libcommon/base/hmap.c libcommon/base/hmap.h \
	libcommon/base/job_name.c libcommon/base/job_name.h \
	libcommon/base/list.h \
	libcommon/base/mark.h \
	libcommon/base/plants.h \
	libcommon/base/metrics.c libcommon/base/metrics.h \
	libcommon/base/rng.c libcommon/base/rng.h \
	libcommon/base/role.c libcommon/base/role.h \
	libcommon/base/sketch.c libcommon/base/sketch.h \
	libcommon/base/store.h \
	libcommon/base/str.c libcommon/base/str.h \
	libcommon/base/utf8.c libcommon/base/utf8.h
