# SPDX-License-Identifier: Apache-2.0
# Unit tests use check; one program a module, each linking only what its module needs.

if HAVE_CHECK
check_LIBRARIES += libtest.a
libtest_a_SOURCES = tests/lib/unit.c tests/lib/unit.h
libtest_a_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
UNIT_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
UNIT_LIBS = libtest.a $(CHECK_LIBS)

include tests/unit/base.mk
include tests/unit/codec.mk
include tests/unit/sys.mk
include tests/unit/io.mk
include tests/unit/zk.mk
include tests/unit/zkserver.mk
include tests/unit/recipes.mk
include tests/unit/master.mk
include tests/unit/agent.mk
include tests/unit/cli.mk
endif

include tests/sim/local.mk
include tests/fuzz/local.mk
include tests/system/local.mk
include tests/compat/local.mk
include tests/vm/local.mk
include tests/manuals/local.mk

# The rules of HACKING.md that a machine can check. (What looks at texts, or at bugs that are planted, has
# nothing to learn from a sanitizer.)
dist_check_SCRIPTS = tests/tidy
if !SANITIZE
TESTS += tests/tidy
endif

# What is shipped under etc/.
if !SANITIZE
TESTS += tests/etc.sh
endif
EXTRA_DIST += tests/etc.sh
# check's deadline of 4 s a test catches a hang; on a busy machine, under sanitizers, an honest test needs more.
AM_TESTS_ENVIRONMENT = CC='$(CC)'; CK_TIMEOUT_MULTIPLIER=$${CK_TIMEOUT_MULTIPLIER-10}; SANITIZED='$(SANITIZE_CFLAGS)'; \
	export CC CK_TIMEOUT_MULTIPLIER SANITIZED;
EXTRA_DIST += tests/core-symbols.txt tests/SKIPS tests/tally .ci/run
