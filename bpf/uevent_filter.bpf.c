// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Uevents, where they are emitted and where they are delivered.
 *
 * kobject_uevent_env → kobject_uevent_net_broadcast → netlink_broadcast → sk_filter_trim_cap, for
 * each listening socket, synchronously in the emitter's context (lib/kobject_uevent.c,
 * net/netlink/af_netlink.c). Nothing in lib/ can be hooked, so on a kernel without trampolines the
 * socket's own filter is the only place: one on the agent's own listener, which hears each uevent
 * once, and one on each receiver.
 */
#include "emit.bpf.h"
#include "verdict.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * The context of a socket filter is the sk_buff at run time, but the verifier gives only the fields
 * of __sk_buff. Reading the pointer back from the stack makes a plain number of it, as the shared
 * bodies want it.
 */
static __always_inline struct sk_buff *kernel_skb(struct __sk_buff *context)
{
	struct sk_buff *skb = NULL;

	bpf_probe_read_kernel(&skb, sizeof(skb), &context);
	return skb;
}

/*
 * The life that this `change` ends: __loop_clr_fd sends it after the file has gone, before the
 * state says so.
 */
static __always_inline __u64 holder_ended(const struct uevent *event, struct owner_entry *entry,
					  __u32 state)
{
	bool ends = event->name.whole_disk && event->name.action == UEVENT_ACTION_CHANGE &&
		    !event->fields.synthetic && state == LOOP_STATE_RUNDOWN;

	return entry && ends ? entry->holder : USERNS_NONE;
}

static __always_inline void emit_uevent(const struct uevent *event, enum rule rule)
{
	__u64 now = bpf_ktime_get_boot_ns(), cpu_seq = next_cpu_seq();
	struct owner_entry *entry = owner_lookup(event->name.devno);
	struct task_struct *task = current_task();
	struct uevent_event *record;
	__s32 state = entry && entry->loop_address ? loop_state_at(entry->loop_address) : -1;

	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record) {
		count_drop(DROP_REASON_RING_FULL);
		return;
	}
	fill_header(&record->header, EVENT_KIND_UEVENT, sizeof(*record), cpu_seq, now);
	fill_caller(&record->emitter, task, userns_remember(task_userns(task)));
	record->devno = event->name.devno;
	record->action = event->name.action;
	record->subsystem = event->fields.subsystem;
	record->synthetic = event->fields.synthetic;
	record->verdict = verdict_of(rule);
	record->rule = rule;
	record->owner = event->ownership.owner;
	record->holder_ended = holder_ended(event, entry, state);
	record->diskseq = event->fields.diskseq;
	record->state = state < 0 ? LOOP_STATE_UNBOUND : state;
	record->whole_disk = event->name.whole_disk;
	bpf_ringbuf_submit(record, 0);
	count(&event_counts, EVENT_KIND_UEVENT);
}

/* On the agent's own listener: counts and records each uevent once, and queues none. */
SEC("?socket")
int uevent_emission_socket(struct __sk_buff *context)
{
	struct filter_settings *config = filter_settings();
	struct sk_buff *skb = kernel_skb(context);
	struct uevent event = {};
	enum rule rule;
	__u32 subsystem, action;

	if (!config)
		return 0;
	if (examine_uevent(&event, skb, config)) {
		rule = event.ownership.rule;
		if (is_owned(event.ownership) && config->mode != FILTER_MODE_HIDE)
			rule = RULE_OBSERVE;
		emit_uevent(&event, rule);
	} else {
		if (!event.name.action_length)
			return 0;
		rule = RULE_NOT_LOOP;
		event.fields = uevent_fields(event.text, &event.name);
	}
	subsystem = event.fields.subsystem;
	action = event.name.action;
	count(&uevent_counts,
	      (subsystem * UEVENT_ACTION_COUNT + action) * VERDICT_COUNT + verdict_of(rule));
	return 0;
}

/* On a receiver: the whole message, or nothing of it. */
SEC("?socket")
int uevent_delivery_socket(struct __sk_buff *context)
{
	struct filter_settings *config = filter_settings();
	struct sk_buff *skb = kernel_skb(context);
	struct uevent event = {};
	enum rule rule = RULE_NOT_LOOP;
	enum verdict verdict;

	/* sk_filter_trim_cap points skb->sk at the receiver while the filter runs. */
	if (config && examine_uevent(&event, skb, config))
		rule = receiver_rule(event.ownership, READ(skb, sk), config);
	verdict = verdict_of(rule);
	count(&delivery_counts, verdict * RULE_COUNT + rule);
	return verdict == VERDICT_HIDE ? 0 : -1;
}
