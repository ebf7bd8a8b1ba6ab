# SPDX-License-Identifier: Apache-2.0
# Manual pages: mdoc, one a program and one a file format. tests/man.sh lints each and looks for it here.

dist_man_MANS += \
	man/corral.1 \
	man/corral-agent.8 \
	man/corral-api.7 \
	man/corral-executor.8 \
	man/corral-master.8 \
	man/corral-quickstart.7 \
	man/corral-recovery.7 \
	man/corral-sharing.7 \
	man/corral-job.5 \
	man/corral.conf.5 \
	man/zk.1 \
	man/zkserver-ensemble.7 \
	man/zkserver.8

if HAVE_MANDOC
if !SANITIZE
TESTS += tests/man.sh
endif
endif
EXTRA_DIST += tests/man.sh
