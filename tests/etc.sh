#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is shipped under etc/: units that systemd takes and that stay hardened, accounts, completion. TAP.
set -u
top=${srcdir:-..}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
number=0
failed=0

# result STATUS NAME [OUTPUT-FILE]
result()
{
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number - $2"
	else
		failed=1
		echo "not ok $number - $2"
		[ -n "${3-}" ] && sed 's/^/# /' "$3"
	fi
}

# The units with a program that exists in place of ours, since they are looked at and not run.
for unit in "$top"/etc/systemd/*.in; do
	name=$(basename "$unit" .in)
	sed -e 's|@sysconfdir@|/etc|' -e 's|@localstatedir@|/var|' -e 's|@bindir@/[a-z-]*|/bin/true|' "$unit" >"$dir/$name"
done
cp "$top"/etc/systemd/*.slice "$top"/etc/systemd/*.timer "$dir"

# EXPOSURE: systemd-analyze security's figure, times ten. The helper does for the agent what needs root.
for unit in corral-zkserver:13 corral-master:13 corral-agent:13 corral-agent-helper:45; do
	name=${unit%:*}.service
	if command -v systemd-analyze >/dev/null; then
		SYSTEMD_UNIT_PATH="$dir:" systemd-analyze verify --man=no --recursive-errors=no "$dir/$name" >"$dir/out" 2>&1
		result $? "systemd takes $name without a complaint" "$dir/out"
		systemd-analyze security --offline=true --threshold="${unit#*:}" "$dir/$name" >"$dir/out" 2>&1
		result $? "$name is exposed to at most ${unit#*:} of 100" "$dir/out"
	else
		result 0 "needs_systemd: $name # SKIP no systemd-analyze on this machine"
		result 0 "needs_systemd: exposure of $name # SKIP no systemd-analyze on this machine"
	fi
done

for name in corral-renew.service corral-renew.timer; do
	if command -v systemd-analyze >/dev/null; then
		SYSTEMD_UNIT_PATH="$dir:" systemd-analyze verify --man=no --recursive-errors=no "$dir/$name" >"$dir/out" 2>&1
		result $? "systemd takes $name without a complaint" "$dir/out"
	else
		result 0 "needs_systemd: $name # SKIP no systemd-analyze on this machine"
	fi
done

if command -v systemd-sysusers >/dev/null; then
	mkdir -p "$dir/root"
	systemd-sysusers --root="$dir/root" --dry-run "$(realpath "$top/etc/sysusers.d/corral.conf")" >"$dir/out" 2>&1
	result $? "the accounts can be made" "$dir/out"
else
	result 0 "needs_systemd: accounts # SKIP no systemd-sysusers on this machine"
fi

# complete_is LINE EXPECTED: what is offered for the last word of LINE.
complete_is()
{
	read -ra COMP_WORDS <<<"$1"
	[[ $1 == *' ' ]] && COMP_WORDS+=('')
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	"$2"
	[ "${COMPREPLY[*]}" = "$3" ]
	result $? "completion of \"$1\" offers $3"
}
. "$top/etc/bash-completion/corral"
PATH=$PWD:$PWD/zkserver:$PATH
complete_is 'corral su' _corral submit
complete_is 'corral submit --w' _corral --watch
complete_is 'corral tls i' _corral 'init issue'
complete_is 'zk --ho' _corral_zk --hosts
complete_is 'zk --hosts h:1 create --e' _corral_zk --ephemeral
complete_is 'zkserver sn' _corral_daemon snapshot
complete_is 'corral-agent ch' _corral_daemon check

echo "1..$number"
exit "$failed"
