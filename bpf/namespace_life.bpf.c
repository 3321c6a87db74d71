// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which of the known user namespaces are in use: somebody is in them, or can get into them. What is found is marked with the
 * time (userns_entry.used_boot_ns), and so are its ancestors, which the kernel keeps.
 *
 * Not by the namespace's reference count, and not by its end (free_user_ns): the file behind a loop device has the credentials
 * of who opened it (f_cred), so the device itself keeps its owner's namespace from ever being freed. In use is what the
 * kernel later came to call active (__ns_ref_active, Linux 6.19): a task's own, of its credentials or as the owner of a namespace
 * that it is in; held by nsfs, that is by a descriptor or a mount, wherever that is; or the owner of such a one.
 *
 * Two walks, since an iterator has one kind of object. Of owned namespaces that no task is in, only those of networks can be
 * listed before 6.19 (net_namespace_list): docs/decisions/0016-orphans-and-reaping.md.
 */
#include "maps.bpf.h"
#include "owner.bpf.h"
#include "task.bpf.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * More than a host has: past these, 4096, the walk is not complete, and nothing counts as dead. In steps, since the verifier keeps at most
 * 8192 branches of a program or of a function of its own in mind.
 */
#define NETWORK_STEPS   16
#define NETWORKS_A_STEP 256

/* Marks a namespace and its ancestors. A function of its own, which the verifier walks once. */
__weak __noinline int mark_used(__u64 address)
{
	struct user_namespace *ns = (void *)address;
	int depth;

	for (depth = 0; depth < USERNS_DEPTH_MAX; depth++) {
		struct userns_entry *entry;
		__u64 id;

		if (!ns || READ(ns, level) <= 0)
			break;
		id = userns_known_id(ns);
		entry = bpf_map_lookup_elem(&userns, &id);
		if (entry) {
			entry->used_boot_ns = bpf_ktime_get_boot_ns();
			/* Of a version that did not note it. */
			if (!entry->address)
				entry->address = plain_address(ns);
		}
		ns = READ(ns, parent);
	}
	return depth;
}

static __always_inline void mark(struct user_namespace *ns)
{
	if (ns && READ(ns, level) > 0)
		mark_used(plain_address(ns));
}

/* The owner of a namespace of another kind. */
#define MARK_OWNER(proxy, member)                                                                  \
	do {                                                                                       \
		if (bpf_core_field_exists(proxy->member))                                          \
			mark(READ(proxy, member, user_ns));                                        \
	} while (0)

static __always_inline void mark_task(struct task_struct *task)
{
	struct nsproxy *proxy = READ(task, nsproxy);

	mark(READ(task, cred, user_ns));
	/* Within some system calls the other two differ, and this is the task's own. */
	mark(READ(task, real_cred, user_ns));
	/* It has ended, and only its parent has not heard yet. */
	if (!proxy)
		return;
	MARK_OWNER(proxy, uts_ns);
	MARK_OWNER(proxy, ipc_ns);
	MARK_OWNER(proxy, mnt_ns);
	MARK_OWNER(proxy, pid_ns_for_children);
	MARK_OWNER(proxy, net_ns);
	MARK_OWNER(proxy, time_ns);
	MARK_OWNER(proxy, time_ns_for_children);
	MARK_OWNER(proxy, cgroup_ns);
}

/* Marks the owners of the next network namespaces in the list; returns where it stopped: at `end`, or after a step. */
__weak __noinline __u64 mark_owners_from(__u64 start, __u64 end)
{
	struct list_head *at = (void *)start;
	int walked;

	for (walked = 0; walked < NETWORKS_A_STEP; walked++) {
		struct net *net = (void *)at - bpf_core_field_offset(struct net, list);

		if ((__u64)at == end)
			break;
		mark_used(plain_address(READ(net, user_ns)));
		at = READ(at, next);
	}
	return plain_address(at);
}

/*
 * All network namespaces: containers' runtimes keep them by a bind mount. The list is walked without its lock; an element that
 * is taken off meanwhile leads elsewhere, never back to the beginning, and so to an incomplete walk. Its head is no struct net:
 * what is read there leads to no namespace that is known.
 */
static __always_inline bool mark_owners_of_networks(void)
{
	struct net *own = READ(current_task(), nsproxy, net_ns);
	struct list_head *first;
	__u64 end, at;
	int step;

	if (!own || !bpf_core_field_exists(own->list))
		return false;
	mark_used(plain_address(READ(own, user_ns)));
	first = (void *)own + bpf_core_field_offset(struct net, list);
	end = plain_address(first);
	at = plain_address(READ(first, next));
	for (step = 0; step < NETWORK_STEPS && at != end; step++)
		at = mark_owners_from(at, end);
	return at == end;
}

/* bpf_iter task (kernel/bpf/task_iter.c, 5.8): each thread, and then once without a task. */
SEC("?iter/task")
int mark_namespace_users(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct namespace_walk walk = {};

	if (task) {
		mark_task(task);
		return 0;
	}
	walk.complete = mark_owners_of_networks();
	bpf_seq_write(context->meta->seq, &walk, sizeof(walk));
	return 0;
}

static __always_inline bool is_held_by_nsfs(struct user_namespace *ns)
{
	struct ns_common *common = (void *)ns + bpf_core_field_offset(struct user_namespace, ns);
	struct ns_common___word *before_6_9 = (void *)common;

	if (bpf_core_field_exists(common->__ns_ref_active) &&
	    READ(common, __ns_ref_active.counter) > 0)
		return true;
	if (bpf_core_field_exists(before_6_9->stashed))
		return BPF_CORE_READ(before_6_9, stashed.counter) != 0;
	/* A kernel that hides it: whatever exists is in use. */
	return !bpf_core_field_exists(common->stashed) || READ(common, stashed) != NULL;
}

/*
 * What was freed keeps its words until somebody else gets them, but for its count, which is 0. A namespace of any kind; false where the count is
 * elsewhere (before 5.11).
 */
static __always_inline bool is_common_freed(struct ns_common *common)
{
	struct ns_common___count *before_6_18 = (void *)common;

	if (bpf_core_field_exists(common->__ns_ref))
		return READ(common, __ns_ref.refs.counter) == 0;
	if (bpf_core_field_exists(before_6_18->count))
		return BPF_CORE_READ(before_6_18, count.refs.counter) == 0;
	return false;
}

static __always_inline bool is_freed(struct user_namespace *ns)
{
	struct user_namespace___count *before_5_11 = (void *)ns;

	if (bpf_core_field_exists(before_5_11->count))
		return BPF_CORE_READ(before_5_11, count.counter) == 0;
	return is_common_freed((void *)ns + bpf_core_field_offset(struct user_namespace, ns));
}

/* bpf_iter bpf_map_elem (kernel/bpf/map_iter.c, 5.9) over `userns`. */
SEC("?iter/bpf_map_elem")
int mark_held_namespaces(struct bpf_iter__bpf_map_elem *context)
{
	struct userns_entry *entry = context->value;
	__u64 *id = context->key;
	struct user_namespace *ns;

	if (!entry || !id || !entry->address || !entry->level)
		return 0;
	ns = (void *)entry->address;
	/* Another one may have got its place. */
	if (userns_known_id(ns) == *id && !is_freed(ns) && is_held_by_nsfs(ns))
		mark_used(entry->address);
	return 0;
}

static __always_inline bool is_stamp_of_freed(const struct userns_key *key)
{
	struct user_namespace *ns = (void *)key->address;
	struct pid_namespace *pidns = (void *)key->address;

	if (key->is_pid)
		return READ(pidns, ns.inum) != key->inum ||
		       is_common_freed((void *)pidns +
				       bpf_core_field_offset(struct pid_namespace, ns));
	return READ(ns, ns.inum) != key->inum || is_freed(ns);
}

/*
 * The same over `userns_stamps`: the keys of those whose namespace the kernel has freed. Nobody is found by them again, but who gets
 * both the address and the number.
 */
SEC("?iter/bpf_map_elem")
int list_freed_stamps(struct bpf_iter__bpf_map_elem *context)
{
	struct userns_key *stamp = context->key, key;

	if (!stamp)
		return 0;
	key = *stamp;
	if (is_stamp_of_freed(&key))
		bpf_seq_write(context->meta->seq, &key, sizeof(key));
	return 0;
}

/* -1: not to be known. */
static __always_inline __s32 openers_of(struct loop_device *loop)
{
	struct loop_device___refcnt *before_5_18 = (void *)loop;
	struct loop_device___without_btf *untyped = (void *)loop;
	struct block_device *whole;

	if (!bpf_core_type_exists(struct loop_device)) {
		__s32 count = -1;

		bpf_probe_read_kernel(&count, sizeof(count), &untyped->lo_refcnt);
		return count;
	}
	if (bpf_core_field_exists(before_5_18->lo_refcnt))
		return BPF_CORE_READ(before_5_18, lo_refcnt.counter);
	whole = READ(loop_disk(loop), part0);
	if (!whole || !bpf_core_field_exists(whole->bd_openers))
		return -1;
	return READ(whole, bd_openers.counter);
}

/*
 * The same iterator over `owners`: how often each disk is open, by descriptors, mounts, partitions and what is stacked on it.
 * lo_refcnt before 5.18; disk_openers() since.
 */
SEC("?iter/bpf_map_elem")
int list_openers(struct bpf_iter__bpf_map_elem *context)
{
	struct owner_entry *owner = context->value;
	__u32 *devno = context->key;
	struct openers_entry entry = {};

	if (!owner || !devno)
		return 0;
	entry.devno = *devno;
	entry.openers = -1;
	/* An address that leads to no loop device any more says nothing. */
	if (owner->loop_address && loop_state_at(owner->loop_address) >= 0)
		entry.openers = openers_of((void *)owner->loop_address);
	bpf_seq_write(context->meta->seq, &entry, sizeof(entry));
	return 0;
}
