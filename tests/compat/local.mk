# SPDX-License-Identifier: Apache-2.0
# The other side of each protocol, from Debian: Apache ZooKeeper and its Java and C clients, kazoo.
# Needs the packages zookeeper, libzookeeper-mt-dev, python3-kazoo and python3-pytest.

check-compat: all
	CORRAL_BUILD='$(abs_builddir)' CC='$(CC)' /usr/bin/python3 -m pytest -q -p no:cacheprovider '$(srcdir)/tests/compat'
.PHONY: check-compat

EXTRA_DIST += \
	tests/compat/c_client.c \
	tests/compat/cluster.py \
	tests/compat/conftest.py \
	tests/compat/differential.py \
	tests/compat/ensemble.py \
	tests/compat/kazoo_suite.py \
	tests/compat/load.py \
	tests/compat/lockstep.py \
	tests/compat/mover.py \
	tests/compat/pairs \
	tests/compat/plan.py \
	tests/compat/servers.py \
	tests/compat/swap.py \
	tests/compat/test_audit.py \
	tests/compat/test_auth.py \
	tests/compat/test_admin.py \
	tests/compat/test_admin_ensemble.py \
	tests/compat/test_c_client.py \
	tests/compat/test_cluster_on_apache.py \
	tests/compat/test_differential.py \
	tests/compat/test_election.py \
	tests/compat/test_errors.py \
	tests/compat/test_inspect.py \
	tests/compat/test_java_client.py \
	tests/compat/test_kazoo.py \
	tests/compat/test_kazoo_recipes.py \
	tests/compat/test_mixed.py \
	tests/compat/test_observer_masters.py \
	tests/compat/test_quota.py \
	tests/compat/test_reconfig.py \
	tests/compat/test_sessions.py \
	tests/compat/test_settings.py \
	tests/compat/test_swap.py \
	tests/compat/test_swap_load.py \
	tests/compat/test_tls.py \
	tests/compat/test_tls_hostile.py \
	tests/compat/test_tls_stores.py \
	tests/compat/test_types.py \
	tests/compat/test_wire.py \
	tests/compat/test_zk_command.py \
	tests/compat/wire.py

check_PROGRAMS += tests/compat/election_peer
tests_compat_election_peer_SOURCES = tests/compat/election_peer.c
tests_compat_election_peer_LDADD = libzkserver.a libzkcore.a libio.a libsys.a libcodec.a libbase.a \
	$(EVENT_LIBS) $(OPENSSL_LIBS)

check_PROGRAMS += tests/compat/properties_check
tests_compat_properties_check_SOURCES = tests/compat/properties_check.c
tests_compat_properties_check_LDADD = libsys.a libbase.a $(INIH_LIBS)
if !SANITIZE
TESTS += tests/compat/properties.sh
endif
EXTRA_DIST += tests/compat/properties.sh tests/compat/PropertiesOracle.java

check_PROGRAMS += tests/compat/members_check
tests_compat_members_check_SOURCES = tests/compat/members_check.c
tests_compat_members_check_LDADD = libzkcore.a libsys.a libbase.a $(INIH_LIBS)
if !SANITIZE
TESTS += tests/compat/members.sh
endif
EXTRA_DIST += tests/compat/members.sh tests/compat/MembersOracle.java
