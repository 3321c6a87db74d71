/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Filling records and putting them into the ring. */
#ifndef LOOPWARDEN_EMIT_BPF_H
#define LOOPWARDEN_EMIT_BPF_H

#include "owner.bpf.h"
#include "task.bpf.h"

#define PATH_COMPONENTS_MAX 64

/*
 * Numbers the record even if there is no room for it, so that a loss shows as a hole. Linux 5.10 has no
 * atomic addition that returns the old value: of two programs that interrupt each other right here both get
 * one number, yet the count stays exact.
 */
static __always_inline __u64 next_cpu_seq(void)
{
	__u32 zero = 0;
	__u64 *seq = bpf_map_lookup_elem(&record_seq, &zero), number;

	if (!seq)
		return 0;
	number = *seq;
	__sync_fetch_and_add(seq, 1);
	return number;
}

static __always_inline void fill_header(struct event_header *header, enum event_kind kind,
					__u16 size, __u64 cpu_seq, __u64 now)
{
	header->kind = kind;
	header->size = size;
	header->cpu = bpf_get_smp_processor_id();
	header->cpu_seq = cpu_seq;
	header->boot_ns = now;
}

static __always_inline void fill_userns(struct userns_identity *identity, __u64 id,
					struct user_namespace *ns)
{
	identity->id = id;
	identity->inum = READ(ns, ns.inum);
	identity->level = READ(ns, level);
	identity->owner_uid = READ(ns, owner.val);
	identity->padding = 0;
}

/*
 * 1: a task of the host's is at a device of `owner`, another's. `userns`: the id of its user namespace, `claimant`: who a
 * device would belong to that it attaches, USERNS_NONE: that. In the initial user namespace are containers, too, and
 * privileged ones reach others' devices: only at a device of a container without a user namespace of its own they do not
 * count, since it may be their own, or that of one inside of them. A function of its own, of whose result the verifier
 * knows nothing: it would walk all that follows once for each way to it.
 */
__weak __noinline __u32 is_foreign(__u64 owner, __u64 userns, __u64 claimant)
{
	struct filter_settings *config = filter_settings();

	if (userns != USERNS_INITIAL || owner == USERNS_NONE || owner == USERNS_INITIAL || !config)
		return 0;
	if (!is_container_id(owner))
		return 1;
	return !is_container_id(claimant) && config->scope == HIDE_SCOPE_CONTAINER;
}

/* `userns`: the id of the task's user namespace. */
static __always_inline void fill_caller(struct caller *caller, struct task_struct *task,
					__u64 userns, __u32 is_foreign)
{
	struct cred *cred = READ(task, cred);
	struct nsproxy *namespaces = READ(task, nsproxy);

	caller->pid = READ(task, tgid);
	caller->tid = READ(task, pid);
	caller->start_boot_ns = READ(task, group_leader, start_boottime);
	caller->cgroup_id = READ(task, cgroups, dfl_cgrp, kn, id);
	caller->uid = READ(cred, euid.val);
	caller->gid = READ(cred, egid.val);
	caller->pidns = READ(task_pid_namespace(task), ns.inum);
	caller->mntns = READ(namespaces, mnt_ns, ns.inum);
	caller->netns = READ(namespaces, net_ns, ns.inum);
	caller->is_foreign = is_foreign & 1;
	fill_userns(&caller->userns, userns, READ(cred, user_ns));
	BPF_CORE_READ_INTO(&caller->comm, task, comm);
}

/*
 * The mount that a name is on, seen from the name above it: `mount` itself, or, at its root, the one
 * that it is mounted on; 0 at the root of all. A function of its own, as all that a loop calls: the
 * verifier walks it once, and not with every turn of the loop.
 */
__weak __noinline __u64 mount_above(__u64 dentry, __u64 mount)
{
	struct mount *at = (void *)mount, *below;

	if ((void *)dentry != READ(at, mnt.mnt_root))
		return mount;
	below = READ(at, mnt_parent);
	return below == at ? 0 : plain_address(below);
}

__weak __noinline __u64 dentry_above(__u64 address)
{
	struct dentry *dentry = (void *)address;

	return plain_address(READ(dentry, d_parent));
}

__weak __noinline __u64 mountpoint_of(__u64 address)
{
	struct mount *mount = (void *)address;

	return plain_address(READ(mount, mnt_mountpoint));
}

__weak __noinline __u64 name_of(__u64 address)
{
	struct dentry *dentry = (void *)address;

	return plain_address(READ(dentry, d_name.name));
}

__weak __noinline __u32 name_length_of(__u64 address)
{
	struct dentry *dentry = (void *)address;

	return READ(dentry, d_name.len);
}

/*
 * The path of a file as the mount tree has it, walked from its name up to the root of its mount
 * namespace (d_path in fs/d_path.c may be called from few hooks only). Returns its length; the path
 * ends at path[BACKING_PATH_LENGTH].
 */
static __always_inline __u32 fill_path(struct ioctl_path_event *record, struct file *file)
{
	__u64 dentry = plain_address(READ(file, f_path.dentry)), above;
	__u64 mount =
	    plain_address(READ(file, f_path.mnt)) - bpf_core_field_offset(struct mount, mnt);
	__u32 start = BACKING_PATH_LENGTH, length;
	int component;

	for (component = 0; component < PATH_COMPONENTS_MAX; component++) {
		above = mount_above(dentry, mount);
		if (!above)
			return BACKING_PATH_LENGTH - start;
		if (above != mount) {
			dentry = mountpoint_of(mount);
			mount = above;
			continue;
		}
		above = dentry_above(dentry);
		/* A file that no folder has, as of memfd_create(2), has a name all the same. */
		if (above == dentry && component > 0)
			return BACKING_PATH_LENGTH - start;
		length = name_length_of(dentry) & (PATH_COMPONENT_LENGTH - 1);
		if (start <= length || start > BACKING_PATH_LENGTH)
			break;
		start -= length + 1;
		/* For the verifier, which lost the bound above: the mask changes nothing. */
		start &= BACKING_PATH_LENGTH - 1;
		record->path[start] = '/';
		bpf_probe_read_kernel(&record->path[start] + 1, length, (void *)name_of(dentry));
		dentry = above;
	}
	record->event.path_truncated = 1;
	return BACKING_PATH_LENGTH - start;
}

#endif
