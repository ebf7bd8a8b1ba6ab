# SPDX-License-Identifier: Apache-2.0
libsys_a_SOURCES = \
	libcommon/sys/cgroup.c libcommon/sys/cgroup.h \
	libcommon/sys/proc.c libcommon/sys/proc.h \
	libcommon/sys/spawn.c libcommon/sys/spawn.h \
	libcommon/sys/log.c libcommon/sys/log.h \
	libcommon/sys/store_posix.c libcommon/sys/store_posix.h
