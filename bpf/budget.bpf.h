/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which records are made, and which are only counted: nobody's flood may cost another one a record.
 *
 * What changes whose a device is has the whole ring, and no budget: the kernel itself takes long over it. All else has
 * a budget for each principal and a share of the ring; past either it is counted in `aggregates`, by command and result,
 * and the agent tells the counts. What is counted has no number among the records: an agent that starts in a flood must
 * know of each number whether it was read before, and could not while counts move on.
 */
#ifndef LOOPWARDEN_BUDGET_BPF_H
#define LOOPWARDEN_BUDGET_BPF_H

#include "emit.bpf.h"

/* Principals that are users of the host; the others are user namespaces by their ids, which are smaller. */
#define PRINCIPAL_USER (1ULL << 63)

/*
 * Who pays: one that nobody can have two of. Every namespace pays from the purse of its ancestor right below the
 * initial one, so that nesting gains nothing; those that an unprivileged user of the host makes pay from the user's, so
 * that making many gains nothing. What root makes, a container engine's, pays for itself. A function of its own, since
 * it holds a loop.
 */
__weak __noinline __u64 principal_of_caller(void)
{
	struct task_struct *task = current_task();
	struct user_namespace *ns = task_userns(task);
	__u32 user;
	int depth;

	for (depth = 0; depth < USERNS_DEPTH_MAX; depth++) {
		if (READ(ns, level) <= 1)
			break;
		ns = READ(ns, parent);
	}
	user = READ(ns, level) == 0 ? READ(task, cred, euid.val) : READ(ns, owner.val);
	return user ? PRINCIPAL_USER | user : userns_id(ns);
}

/*
 * A record is paid for by time: `due` is when all that was made is paid, and runs ahead of the clock by the burst at
 * most. One word, added to atomically: processors that look at once overdraw it by one record each, and when it falls
 * behind the clock, what one of them adds just then may be forgotten.
 */
static __always_inline bool pays(__u64 principal, __u64 cost_ns, __u64 burst, __u64 now)
{
	__u64 first = now + cost_ns, due;
	__u64 *word = bpf_map_lookup_elem(&budgets, &principal);

	if (!word) {
		bpf_map_update_elem(&budgets, &principal, &first, BPF_ANY);
		return true;
	}
	due = *word;
	if (due < now) {
		*word = now;
		due = now;
	}
	if (due - now >= cost_ns * burst)
		return false;
	__sync_fetch_and_add(word, cost_ns);
	return true;
}

/* Not on the stack, which the callers of what is below have use for. */
static const struct aggregate_entry no_aggregate;

/*
 * The caller of the first one stands for all: who else of the principal there was, nobody noted. Of its disk it is noted
 * whether it was that of all: a line for each would be as many as somebody can make disks.
 */
static __always_inline void count_instead(const struct aggregate_key *key, __u32 devno, __u64 now)
{
	struct aggregate_entry *entry = bpf_map_lookup_elem(&aggregates, key);
	struct task_struct *task = current_task();
	bool is_first = false;

	if (!entry) {
		is_first = !bpf_map_update_elem(&aggregates, key, &no_aggregate, BPF_NOEXIST);

		entry = bpf_map_lookup_elem(&aggregates, key);
		if (!entry) {
			count_drop(DROP_REASON_AGGREGATES_FULL);
			return;
		}
		if (is_first) {
			entry->first_boot_ns = now;
			entry->devno = devno;
			fill_caller(&entry->caller, task, userns_id(task_userns(task)),
				    key->is_foreign);
		}
	}
	/* Who finds it before it is noted takes it for another: that is said too often, never too seldom. */
	if (!is_first && entry->devno != devno)
		entry->is_mixed = 1;
	__sync_fetch_and_add(&entry->count, 1);
	entry->last_boot_ns = now;
	count(&aggregate_counts, key->kind);
}

/* What the agent is told of it beside command and result; in one word, as there are five arguments at most. */
#define ABOUT(devno, is_foreign) ((__u64)((is_foreign)&1) << 32 | (devno))

/*
 * True: no record is to be made of what the current task did, and it is counted. `command` and `result` as in struct
 * aggregate_key. Not to be asked of what changes whose a device is.
 */
__weak __noinline int is_counted_instead(__u32 kind, __u32 command, __s64 result, __u64 about,
					 __u64 now)
{
	__u32 zero = 0;
	struct record_budgets *terms = bpf_map_lookup_elem(&record_budgets, &zero);
	struct aggregate_key key = {
	    .kind = kind, .command = command, .result = result, .is_foreign = about >> 32};
	__u64 waiting;
	bool is_host;

	if (!terms || !terms->cost_ns)
		return false;
	key.principal = principal_of_caller();
	key.interval = terms->interval;
	is_host = key.principal == USERNS_INITIAL;
	waiting = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
	if (waiting < (is_host ? terms->host_bytes : terms->shared_bytes) &&
	    pays(key.principal, is_host ? terms->host_cost_ns : terms->cost_ns,
		 is_host ? terms->host_burst : terms->burst, now))
		return false;
	count_instead(&key, about, now);
	return true;
}

#endif
