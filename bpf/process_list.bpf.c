// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The user namespace of every process, as one struct process_entry each (bpf_iter task,
 * kernel/bpf/task_iter.c, 5.8 and newer): /proc tells inums, which are used again, and not the id
 * that the other programs know the namespace by. Each is known to them afterwards.
 */
#include "maps.bpf.h"
#include "owner.bpf.h"
#include "task.bpf.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("?iter/task")
int list_processes(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct process_entry entry = {};
	struct user_namespace *ns;

	if (!task || READ(task, pid) != READ(task, tgid))
		return 0;
	ns = task_userns(task);
	entry.userns = userns_remember(ns);
	entry.pid = READ(task, tgid);
	entry.userns_inum = READ(ns, ns.inum);
	entry.userns_level = READ(ns, level);
	bpf_seq_write(context->meta->seq, &entry, sizeof(entry));
	return 0;
}
