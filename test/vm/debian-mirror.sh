# Sourced by what makes a Debian of another suite, or boots its kernel.

# Usage: debian_mirror debian|debian-security: where this machine's own apt gets that from, unless LOOPWARDEN_VM_MIRROR or
# LOOPWARDEN_VM_SECURITY_MIRROR says another. Fails, and says so, if that is nowhere.
debian_mirror() {
	local variable=LOOPWARDEN_VM_MIRROR mirror
	[ "$1" = debian ] || variable=LOOPWARDEN_VM_SECURITY_MIRROR
	mirror=${!variable:-$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | sort -u | grep -E "/$1/?\$" | head -n 1 || true)}
	if [ -z "$mirror" ]; then
		say "no mirror of $1 in this machine's apt sources; set $variable" >&2
		return 1
	fi
	echo "$mirror"
}
