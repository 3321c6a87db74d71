// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * New user namespaces, on kernels without ns_id (before Linux 6.18). There an id is a stamp, found again by address and number
 * (owner.bpf.h), and the kernel gives both again: who gets those of a dead one is not to find its stamp.
 *
 * Looked at where the new one is made, not where the old one ends. create_user_ns(new) (kernel/user_namespace.c, by copy_creds and
 * unshare_userns) returns before anybody has the credentials: no program can have seen the namespace yet, and none sees it with
 * the old stamp. The end is worse to see: free_user_ns is a worker's function, and frees ancestors in a loop of its own.
 *
 * A kprobe on its return knows no arguments. setup_userns_sysctls(ns) (kernel/ucount.c) is called by create_user_ns only, when the
 * namespace has its number.
 */
#include "owner.bpf.h"
#include "twice.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline void userns_created(struct user_namespace *ns)
{
	struct userns_key key = {};

	if (bpf_core_field_exists(ns->ns.ns_id))
		return;
	key.address = plain_address(ns);
	key.inum = READ(ns, ns.inum);
	bpf_map_delete_elem(&userns_stamps, &key);
}

TWICE("fexit/create_user_ns", create_user_ns, fexit, false,
      if (result == 0) userns_created(READ(credentials, user_ns)), struct cred *credentials,
      int result)

SEC("?kprobe/setup_userns_sysctls")
int BPF_KPROBE(setup_userns_sysctls_kprobe, struct user_namespace *ns)
{
	userns_created(ns);
	return 0;
}
