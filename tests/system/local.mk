# SPDX-License-Identifier: Apache-2.0
# Real processes on loopback, under pytest.

check-system: all
	CORRAL_BUILD='$(abs_builddir)' /usr/bin/python3 -m pytest -q -p no:cacheprovider '$(srcdir)/tests/system'
.PHONY: check-system
