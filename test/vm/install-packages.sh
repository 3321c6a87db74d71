# Sourced by what boots virtual machines.

# Usage: install_packages LOG PACKAGE...: Debian packages that this machine lacks, without starting a daemon of theirs.
install_packages() {
	local log=$1 apt
	shift
	[ $# -gt 0 ] || return 0
	if [ ! -e /etc/debian_version ]; then
		say "this is not Debian; what these Debian packages hold is missing here: $*" >&2
		return 1
	fi
	say "installing Debian packages: $*"
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
		trap 'exit 130' INT TERM HUP
		printf '#!/bin/sh\n# Written by the VM tests of loopwarden while they install packages.\nexit 101\n' >/usr/sbin/policy-rc.d
		chmod 755 /usr/sbin/policy-rc.d
	fi
	apt=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -o DPkg::Lock::Timeout=300)
	if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
		tail -n 20 "$log" >&2
		return 1
	fi
	if [ -n "$(trap -p EXIT)" ]; then rm -f /usr/sbin/policy-rc.d; fi
	trap - EXIT INT TERM HUP
}
