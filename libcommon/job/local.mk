# SPDX-License-Identifier: Apache-2.0
libjob_a_SOURCES = \
	libcommon/job/jobfile.c libcommon/job/jobfile.h libcommon/job/jobfile_parse.h \
	libcommon/job/jobfile_keys.c \
	libcommon/job/jobfile_refused.c \
	libcommon/job/jobfile_spec.c \
	libcommon/job/words.c libcommon/job/words.h
