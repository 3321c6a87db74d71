/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The task in whose context a program runs: the ioctl's caller, the uevent's emitter. */
#ifndef LOOPWARDEN_TASK_BPF_H
#define LOOPWARDEN_TASK_BPF_H

#include "maps.bpf.h"

/*
 * Socket filters have no bpf_get_current_pid_tgid on older kernels, so the task is read
 * everywhere.
 */
static __always_inline struct task_struct *current_task(void)
{
	return (void *)bpf_get_current_task();
}

/* tgid << 32 | tid: the key of a call that has been entered and has not returned. */
static __always_inline __u64 task_token(struct task_struct *task)
{
	return (__u64)READ(task, tgid) << 32 | (__u32)READ(task, pid);
}

/* Did the agent make this hook fire, to see that it does? Counted, and nothing else of it. */
static __always_inline bool is_canary(const struct filter_settings *config, enum canary canary)
{
	if (!config->canary_tgid || READ(current_task(), tgid) != (int)config->canary_tgid)
		return false;
	count(&canary_counts, canary);
	return true;
}

static __always_inline struct user_namespace *task_userns(struct task_struct *task)
{
	return READ(task, cred, user_ns);
}

/*
 * The namespace of the process id as the process itself sees it (task_active_pid_ns in
 * kernel/pid.c).
 */
static __always_inline struct pid_namespace *task_pid_namespace(struct task_struct *task)
{
	struct pid *pid = READ(task, thread_pid);
	__u32 level = READ(pid, level);
	struct upid *at = (void *)pid + bpf_core_field_offset(pid->numbers) +
			  level * bpf_core_type_size(struct upid);

	return READ(at, ns);
}

static __always_inline struct inflight_entry *inflight_lookup(struct task_struct *task)
{
	__u64 token = task_token(task);

	return bpf_map_lookup_elem(&inflight, &token);
}

/* The commands that begin a life. */
static __always_inline bool takes_life(__u32 command)
{
	return command == LOOP_COMMAND_LOOP_CONFIGURE || command == LOOP_COMMAND_LOOP_SET_FD;
}

#endif
