# SPDX-License-Identifier: Apache-2.0
# Samples, systemd units, accounts, completion. Defaults are compiled in: nothing is copied to /etc.

confexampledir = $(docdir)/examples
dist_confexample_DATA = etc/corral.conf etc/zoo.cfg

UNITS_BUILT = \
	etc/systemd/corral-agent.service \
	etc/systemd/corral-agent-helper.service \
	etc/systemd/corral-master.service \
	etc/systemd/corral-renew.service \
	etc/systemd/corral-zkserver.service
nodist_systemdsystemunit_DATA = $(UNITS_BUILT)
dist_systemdsystemunit_DATA = etc/systemd/corral.slice etc/systemd/corral-renew.timer
EXTRA_DIST += $(UNITS_BUILT:=.in)
CLEANFILES += $(UNITS_BUILT)

$(UNITS_BUILT): Makefile
	$(AM_V_GEN)$(MKDIR_P) etc/systemd && \
	  sed -e 's|@bindir[@]|$(bindir)|g' -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	  -e 's|@localstatedir[@]|$(localstatedir)|g' '$(srcdir)/$@.in' > $@.tmp && mv $@.tmp $@
etc/systemd/corral-agent.service: etc/systemd/corral-agent.service.in
etc/systemd/corral-agent-helper.service: etc/systemd/corral-agent-helper.service.in
etc/systemd/corral-master.service: etc/systemd/corral-master.service.in
etc/systemd/corral-renew.service: etc/systemd/corral-renew.service.in
etc/systemd/corral-zkserver.service: etc/systemd/corral-zkserver.service.in

sysusersdir = $(prefix)/lib/sysusers.d
dist_sysusers_DATA = etc/sysusers.d/corral.conf
tmpfilesdir = $(prefix)/lib/tmpfiles.d
dist_tmpfiles_DATA = etc/tmpfiles.d/corral.conf

bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = etc/bash-completion/corral

# bash looks a program's completion up by its name.
COMPLETED = corral-agent corral-executor corral-master zk zkserver
install-data-hook: install-completion-links
install-completion-links:
	for name in $(COMPLETED); do $(LN_S) -f corral '$(DESTDIR)$(bashcompletiondir)/'$$name || exit 1; done
uninstall-hook:
	for name in $(COMPLETED); do rm -f '$(DESTDIR)$(bashcompletiondir)/'$$name; done
.PHONY: install-completion-links
