# SPDX-License-Identifier: Apache-2.0
# What needs a virtual machine; `./setup check-vm` runs it.

EXTRA_DIST += tests/vm/cgroups tests/vm/check tests/vm/init tests/vm/machine tests/vm/systemd \
	tests/vm/test_cgroup2.py
