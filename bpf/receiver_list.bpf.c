// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Every open descriptor of the host that is a uevent socket, as one struct receiver_entry each
 * (bpf_iter task_file, kernel/bpf/task_iter.c, 5.8 and newer). An iterator knows what /proc does
 * not: the credentials that opened the socket, and whose filter is on it.
 */
#include "maps.bpf.h"
#include "container.bpf.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define CLASSIC_FILTER (~0U)

/* A classic filter is migrated to eBPF without a program of its own: it has no id. */
static __always_inline __u32 filter_id_of(struct sock *sock)
{
	struct bpf_prog *program = READ(sock, sk_filter, prog);
	__u32 id;

	if (!program)
		return 0;
	id = READ(program, aux, id);
	return id ? id : CLASSIC_FILTER;
}

SEC("?iter/task_file")
int list_receivers(struct bpf_iter__task_file *context)
{
	struct task_struct *task = context->task;
	struct file *file = context->file;
	struct receiver_entry entry = {};
	struct user_namespace *ns;
	struct netlink_sock *netlink;
	unsigned long *groups, word = 0;
	struct socket *socket;
	struct sock *sock;

	if (!task || !file || (READ(file, f_inode, i_mode) & FILE_TYPE_MASK) != FILE_TYPE_SOCKET)
		return 0;
	socket = READ(file, private_data);
	sock = READ(socket, sk);
	if (!sock || READ(sock, __sk_common.skc_family) != AF_NETLINK ||
	    READ(sock, sk_protocol) != NETLINK_KOBJECT_UEVENT)
		return 0;
	/* One line a descriptor of a process, not one of each of its threads. */
	if (READ(task, pid) != READ(task, tgid))
		return 0;
	netlink = (void *)sock;
	groups = READ(netlink, groups);
	if (groups)
		bpf_probe_read_kernel(&word, sizeof(word), groups);
	ns = READ(file, f_cred, user_ns);
	entry.socket_inode = READ(file, f_inode, i_ino);
	entry.socket_address = plain_address(sock);
	entry.container = task_container(task, filter_settings());
	entry.userns = userns_id(ns);
	entry.start_boot_ns = READ(task, group_leader, start_boottime);
	entry.cgroup_id = READ(task, cgroups, dfl_cgrp, kn, id);
	entry.userns_inum = READ(ns, ns.inum);
	entry.userns_level = READ(ns, level);
	entry.pid = READ(task, tgid);
	entry.fd = context->fd;
	entry.netns = READ(sock, __sk_common.skc_net.net, ns.inum);
	entry.portid = READ(netlink, portid);
	entry.groups = word;
	entry.filter_id = filter_id_of(sock);
	entry.uid = READ(file, f_cred, euid.val);
	entry.mntns = READ(task, nsproxy, mnt_ns, ns.inum);
	entry.pidns_level = READ(task_pid_namespace(task), level);
	bpf_seq_write(context->meta->seq, &entry, sizeof(entry));
	return 0;
}
