/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Containers that have no user namespace of their own (hide.scope: container): their devices are the initial user
 * namespace's, as far as credentials tell.
 *
 * A task is in such a container if its user namespace is the initial one, its pid namespace is not the host's, and its mount
 * namespace is not that of the host's first process. All three: a service with PrivateTmp= has a mount namespace of its
 * own and is the host's, and who has entered the host's mount namespace from a container acts for the host. Missed are
 * containers in the host's pid namespace (--pid=host); a service with PrivatePIDs= counts as a container.
 *
 * It is named by its pid namespace, which its processes cannot leave: not by its mount namespace, of which each service
 * that a container's own systemd starts may have another. A pid namespace inside of another is below it, as user
 * namespaces are.
 */
#ifndef LOOPWARDEN_CONTAINER_BPF_H
#define LOOPWARDEN_CONTAINER_BPF_H

#include "emit.bpf.h"
#include "owner.bpf.h"
#include "task.bpf.h"

/* include/linux/pid_namespace.h: MAX_PID_NS_LEVEL. */
#define PIDNS_DEPTH_MAX 32
/* As many pid namespaces may be seen first within 1,024 ns. */
#define STAMP_TRIES 8

/* The pid namespace of the container that the task is in; NULL: the host. */
static __always_inline struct pid_namespace *container_namespace(struct task_struct *task)
{
	struct pid_namespace *own = task_pid_namespace(task), *hosts;
	struct upid *first;
	struct pid *pid;

	if (!own || READ(own, level) == 0 || READ(task, cred, user_ns, level) != 0)
		return NULL;
	pid = READ(task, thread_pid);
	first = (void *)pid + bpf_core_field_offset(pid->numbers);
	hosts = READ(first, ns);
	if (READ(task, nsproxy, mnt_ns) == READ(hosts, child_reaper, nsproxy, mnt_ns))
		return NULL;
	return own;
}

/* Reserves an id that no namespace has had, with what is known so far: `parent` comes later. */
static __always_inline __u64 container_reserve(struct pid_namespace *ns)
{
	__u64 now = bpf_ktime_get_boot_ns(), id = 0;
	struct userns_entry entry = {
	    .first_seen_boot_ns = now,
	    .inum = READ(ns, ns.inum),
	    .level = READ(ns, level),
	};
	int try;

	for (try = 0; try < STAMP_TRIES; try++) {
		id = CONTAINER_IDS | (((now >> 10) + try) & ((1ULL << CONTAINER_ID_BITS) - 1));
		if (!bpf_map_update_elem(&userns, &id, &entry, BPF_NOEXIST))
			return id;
	}
	count_drop(DROP_REASON_USERNS_MAP_FULL);
	return id;
}

/*
 * ns_id where the kernel has it, else a stamp as in userns_id, from a clock of 1,024 ns that comes round in 13 days: the
 * table of names sees to it that none is given twice.
 */
__weak __noinline __u64 container_id_at(__u64 address)
{
	struct pid_namespace *ns = (void *)address;
	struct userns_key key = {.address = address, .is_pid = 1};
	__u64 *known, id;

	if (bpf_core_field_exists(ns->ns.ns_id))
		return CONTAINER_IDS | (READ(ns, ns.ns_id) & ((1ULL << CONTAINER_ID_BITS) - 1));
	key.inum = READ(ns, ns.inum);
	known = bpf_map_lookup_elem(&userns_stamps, &key);
	if (known)
		return *known;
	id = container_reserve(ns);
	if (!bpf_map_update_elem(&userns_stamps, &key, &id, BPF_NOEXIST))
		return id;
	/* Another CPU was first, or the table is full. */
	known = bpf_map_lookup_elem(&userns_stamps, &key);
	if (!known) {
		count_drop(DROP_REASON_USERNS_MAP_FULL);
		return id;
	}
	bpf_map_delete_elem(&userns, &id);
	return *known;
}

/* Its id; notes it and those around it, once, as userns_remember_at does. */
__weak __noinline __u64 container_remember_at(__u64 address)
{
	__u64 first = container_id_at(address), id = first;
	int depth;

	for (depth = 0; depth < PIDNS_DEPTH_MAX; depth++) {
		struct pid_namespace *ns = (void *)address;
		struct userns_entry entry = {}, *known = bpf_map_lookup_elem(&userns, &id);
		bool is_outermost = READ(ns, level) <= 1;

		if (known && known->parent != USERNS_NONE)
			break;
		address = plain_address(READ(ns, parent));
		entry.parent = is_outermost ? USERNS_INITIAL : container_id_at(address);
		entry.first_seen_boot_ns = bpf_ktime_get_boot_ns();
		entry.inum = READ(ns, ns.inum);
		entry.level = READ(ns, level);
		if (known)
			known->parent = entry.parent;
		else if (bpf_map_update_elem(&userns, &id, &entry, BPF_NOEXIST) &&
			 !bpf_map_lookup_elem(&userns, &id))
			count_drop(DROP_REASON_USERNS_MAP_FULL);
		if (is_outermost)
			break;
		id = entry.parent;
	}
	return first;
}

/* Id of the task's container; USERNS_NONE: the host. Of its own, for the verifier: all who ask would pay for its reads. */
__weak __noinline __u64 container_of_task_at(__u64 address)
{
	struct pid_namespace *ns = container_namespace((struct task_struct *)address);

	return ns ? container_remember_at(plain_address(ns)) : USERNS_NONE;
}

/* The same while those count; else USERNS_NONE. */
static __always_inline __u64 task_container(struct task_struct *task,
					    const struct filter_settings *config)
{
	if (!config || config->scope != HIDE_SCOPE_CONTAINER)
		return USERNS_NONE;
	return container_of_task_at(plain_address(task));
}

/* is_foreign of the current task, whose claim nobody else asks for. It is no matter which container it is. */
__weak __noinline __u32 is_foreign_task(__u64 owner)
{
	struct task_struct *task = current_task();

	if (READ(task_userns(task), level) != 0)
		return 0;
	return is_foreign(owner, USERNS_INITIAL,
			  container_namespace(task) ? CONTAINER_IDS : USERNS_NONE);
}

/* Who a device belongs to that the task makes or attaches. `userns`: the id of its user namespace. */
static __always_inline __u64 task_claim(struct task_struct *task, __u64 userns,
					const struct filter_settings *config)
{
	__u64 container;

	if (userns != USERNS_INITIAL)
		return userns;
	container = task_container(task, config);
	return container == USERNS_NONE ? userns : container;
}

static __always_inline struct receiver_key receiver_key(struct sock *sock)
{
	struct receiver_key key = {
	    .address = plain_address(sock),
	    .inode = READ(sock, sk_socket, file, f_inode, i_ino),
	};

	return key;
}

/* Who made a socket, or bound it first, is who listens. */
static __always_inline void receiver_made(struct sock *sock, struct task_struct *task,
					  const struct filter_settings *config)
{
	__u64 container = task_container(task, config);
	struct receiver_key key;

	if (container == USERNS_NONE)
		return;
	key = receiver_key(sock);
	bpf_map_update_elem(&receiver_containers, &key, &container, BPF_NOEXIST);
}

/* USERNS_NONE: the host's, or not known. */
static __always_inline __u64 receiver_container(struct sock *sock)
{
	struct receiver_key key = receiver_key(sock);
	__u64 *container = bpf_map_lookup_elem(&receiver_containers, &key);

	return container ? *container : USERNS_NONE;
}

#endif
