# SPDX-License-Identifier: Apache-2.0
# Real processes on loopback, under pytest.

check-system: all
	CORRAL_BUILD='$(abs_builddir)' /usr/bin/python3 -m pytest -q -p no:cacheprovider '$(srcdir)/tests/system'
.PHONY: check-system

EXTRA_DIST += \
	tests/lib/certificates.py \
	tests/lib/corralpb.py \
	tests/lib/fakemaster.py \
	tests/lib/history.py \
	tests/lib/members.py \
	tests/lib/network.py \
	tests/lib/petitions.py \
	tests/lib/processes.py \
	tests/lib/recorder.py \
	tests/lib/shift_clock.c \
	tests/lib/site_rig.py \
	tests/lib/waiting.py \
	tests/system/conftest.py \
	tests/system/hostile.py \
	tests/system/kill_loop.py \
	tests/system/test_access.py \
	tests/system/task_storm.py \
	tests/system/test_agent.py \
	tests/system/test_agent_ensemble.py \
	tests/system/test_bad_input.py \
	tests/system/test_bad_input_cluster.py \
	tests/system/test_bad_input_peers.py \
	tests/system/test_reconfig.py \
	tests/system/test_reconfig_tls.py \
	tests/system/test_build.py \
	tests/system/test_cli.py \
	tests/system/test_credentials.py \
	tests/system/test_demo.py \
	tests/system/test_dev.py \
	tests/system/test_dev_servers.py \
	tests/system/test_ensemble.py \
	tests/system/test_ensemble_faults.py \
	tests/system/test_failures.py \
	tests/system/test_fleet.py \
	tests/system/test_full_disk.py \
	tests/system/test_helper.py \
	tests/system/test_history.py \
	tests/system/test_jobs.py \
	tests/system/test_join.py \
	tests/system/test_kill_loop.py \
	tests/system/test_task_storm.py \
	tests/system/test_terms.py \
	tests/system/test_master.py \
	tests/system/test_observers.py \
	tests/system/test_operate.py \
	tests/system/test_run.py \
	tests/system/test_sharing.py \
	tests/system/test_singletons.py \
	tests/system/test_status.py \
	tests/system/test_streams.py \
	tests/system/test_zk.py \
	tests/system/test_zkadmin.py \
	tests/system/test_zkserver.py \
	tests/system/test_zkserver_limits.py \
	tests/system/test_zkserver_years.py \
	tests/system/zkraw.py
