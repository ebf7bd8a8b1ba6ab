# SPDX-License-Identifier: Apache-2.0
libsys_a_SOURCES = \
	libcommon/sys/cgroup.c libcommon/sys/cgroup.h \
	libcommon/sys/conf.c libcommon/sys/conf.h \
	libcommon/sys/corral_conf.c libcommon/sys/corral_conf.h \
	libcommon/sys/faults.c libcommon/sys/faults.h \
	libcommon/sys/fsutil.c libcommon/sys/fsutil.h \
	libcommon/sys/ini.c libcommon/sys/ini.h \
	libcommon/sys/ini_properties.c \
	libcommon/sys/ini_split.h \
	libcommon/sys/ini_systemd.c \
	libcommon/sys/log.c libcommon/sys/log.h \
	libcommon/sys/notify.c libcommon/sys/notify.h \
	libcommon/sys/ownproc.c libcommon/sys/ownproc.h \
	libcommon/sys/proc.c libcommon/sys/proc.h \
	libcommon/sys/spawn.c libcommon/sys/spawn.h \
	libcommon/sys/store_posix.c libcommon/sys/store_posix.h \
	libcommon/sys/tasklimits.c libcommon/sys/tasklimits.h
