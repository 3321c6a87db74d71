// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Uevents, where they are emitted and where they are delivered.
 *
 * kobject_uevent_env → kobject_uevent_net_broadcast → netlink_broadcast → sk_filter_trim_cap, for
 * each listening socket, synchronously in the emitter's context (lib/kobject_uevent.c,
 * net/netlink/af_netlink.c). Nothing in lib/ can be hooked. Trampolines reach the functions before
 * and after it; on a kernel without them the socket's own filter is the only place: one on the
 * agent's own listener, which hears each uevent once, and one on each receiver.
 */
#include "budget.bpf.h"
#include "verdict.bpf.h"
#include <bpf/bpf_tracing.h>

#define EPERM 1

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

/*
 * Does it tell of a disk that comes or goes, or of a life that begins or ends? Its record is then made whatever else there
 * is: as of calls that change ownership, the kernel makes no flood of these. All others can be asked for as fast as one
 * likes, a `change` by LOOP_SET_CAPACITY of a file that grows and shrinks.
 */
static __always_inline bool tells_of_life(const struct uevent *event, __u64 ended, __s32 state)
{
	struct inflight_entry *call;

	if (!event->from_kernel || !event->name.whole_disk || event->fields.synthetic)
		return false;
	if (event->name.action != UEVENT_ACTION_CHANGE)
		return event->name.action == UEVENT_ACTION_ADD ||
		       event->name.action == UEVENT_ACTION_REMOVE;
	/* Of device-mapper: somebody may wait for it (DM_COOKIE). Only who may load a table can have it sent. */
	if (event->name.other_driver)
		return true;
	if (ended != USERNS_NONE || state == LOOP_STATE_RUNDOWN)
		return true;
	call = inflight_lookup(current_task());
	return call && takes_life(call->command) && call->devno == event->name.devno;
}

/* A function of its own: its key has no room beside what the callers need of the stack. */
__weak __noinline int lose_cookie(__u32 dm_cookie, __u64 now)
{
	struct lost_cookie key = {
	    .boot_ns = now,
	    .dm_cookie = dm_cookie,
	    .cpu = bpf_get_smp_processor_id(),
	};
	__u32 one = 1;

	if (!dm_cookie)
		return 0;
	bpf_map_update_elem(&lost_cookies, &key, &one, BPF_ANY);
	return 0;
}

static __always_inline bool is_other_disk(const struct uevent *event)
{
	return event->name.other_driver && event->fields.subsystem == UEVENT_SUBSYSTEM_BLOCK;
}

/* Asked anew where it is needed: the stack has no room to keep it. */
static __always_inline __u32 is_foreign_event(const struct uevent *event)
{
	return event->fields.synthetic & is_foreign_task(event->ownership.owner);
}

/* What the agent cannot tell by the number of another driver's disk. */
static __always_inline void describe_disk(const struct uevent *event, struct uevent_event *record)
{
	bpf_probe_read_kernel_str(
	    record->disk, sizeof(record->disk),
	    (void *)disk_name_address(event->text, event->form, &event->name));
	record->dm_cookie = uevent_numbers(event->text, event->form, &event->name);
}

/*
 * What the host has been told of another driver's device, its `remove` is to follow. One that has
 * left what was below it is the host's from then on. A function of its own, which the verifier walks once.
 */
__weak __noinline int note_host(__u32 devno, __u32 is_removal, __u32 is_told)
{
	struct owner_entry *entry = owner_lookup(devno);

	if (!entry)
		return 0;
	if (is_removal) {
		entry->stack = STACK_STATE_LEFT;
	} else if (is_told) {
		entry->host_knows = 1;
		if (entry->stack == STACK_STATE_LEFT)
			entry->stack = STACK_STATE_NONE;
	}
	return 0;
}

static __always_inline void note_disk(const struct uevent *event, enum rule rule)
{
	bool is_removal = event->name.action == UEVENT_ACTION_REMOVE;

	if (event->name.other_driver && event->name.whole_disk &&
	    !(is_removal && event->fields.synthetic))
		note_host(event->name.devno, is_removal, verdict_of(rule) == VERDICT_DELIVER);
}

static __always_inline void emit_uevent(const struct uevent *event, enum rule rule)
{
	__u64 now = bpf_ktime_get_boot_ns(), cpu_seq;
	struct owner_entry *entry = owner_lookup(event->name.devno);
	struct task_struct *task = current_task();
	struct uevent_event *record;
	__s32 state = entry && entry->loop_address ? loop_state_at(entry->loop_address) : -1;
	__u64 ended = holder_ended(event, entry, state);

	if (!tells_of_life(event, ended, state) &&
	    is_counted_instead(EVENT_KIND_UEVENT, event->name.action, verdict_of(rule),
			       ABOUT(event->name.devno, is_foreign_event(event)), now))
		return;
	cpu_seq = next_cpu_seq();
	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record) {
		/* First: the agent looks for it when it sees that something was dropped. */
		if (is_other_disk(event) && verdict_of(rule) == VERDICT_HIDE)
			lose_cookie(uevent_numbers(event->text, event->form, &event->name), now);
		count_drop(DROP_REASON_RING_FULL);
		return;
	}
	fill_header(&record->header, EVENT_KIND_UEVENT, sizeof(*record), cpu_seq, now);
	fill_caller(&record->emitter, task, userns_remember(task_userns(task)),
		    is_foreign_event(event));
	record->devno = event->name.devno;
	record->action = event->name.action;
	record->subsystem = event->fields.subsystem;
	record->synthetic = event->fields.synthetic;
	record->verdict = verdict_of(rule);
	record->rule = rule;
	record->owner = event->ownership.owner;
	record->holder_ended = ended;
	record->diskseq = event->fields.diskseq;
	record->state = state < 0 ? LOOP_STATE_UNBOUND : state;
	record->whole_disk = event->name.whole_disk;
	record->dm_cookie = 0;
	record->padding = 0;
	__builtin_memset(record->disk, 0, sizeof(record->disk));
	if (is_other_disk(event))
		describe_disk(event, record);
	bpf_ringbuf_submit(record, 0);
	count(&event_counts, EVENT_KIND_UEVENT);
}

/* Once for each uevent, in its emitter's context: counts it, and records it if it is about a device with an owner. */
static __always_inline void uevent_emitted(struct uevent *event)
{
	struct filter_settings *config = filter_settings();
	enum rule rule;

	if (!config || is_canary(config, CANARY_UEVENT_EMISSION))
		return;
	if (examine_uevent(event, config)) {
		rule = event->ownership.rule;
		if (is_owned(event->ownership) && config->mode != FILTER_MODE_HIDE)
			rule = RULE_OBSERVE;
		emit_uevent(event, rule);
		note_disk(event, rule);
	} else {
		if (!event->name.action_length)
			return;
		rule = RULE_NOT_LOOP;
		event->fields = uevent_fields(event->text, event->form, &event->name);
	}
	count(&uevent_counts,
	      (event->fields.subsystem * UEVENT_ACTION_COUNT + event->name.action) * VERDICT_COUNT +
		  verdict_of(rule));
}

/*
 * A program on a socket is counted against its memory (net.core.optmem_max, 20 KiB before Linux 6.7: some 2,500
 * instructions), and what is to be done is longer. So what is attached only passes the message on.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} listener_slots SEC(".maps");

/* On the agent's own listener, which queues none. Nothing is in the slot where uevents are seen elsewhere. */
SEC("?socket")
int uevent_emission_socket(struct __sk_buff *context)
{
	bpf_tail_call(context, &listener_slots, 0);
	return 0;
}

SEC("?socket")
int uevent_emission_body(struct __sk_buff *context)
{
	struct sk_buff *skb = kernel_skb(context);
	struct uevent event = uevent_of_message(skb, READ(skb, sk));

	uevent_emitted(&event);
	return 0;
}

/* The uevent that a task was seen to emit, between the two programs on dev_uevent: thread → its buffer. */
MAP(BPF_MAP_TYPE_LRU_HASH, __u64, __u64, 1024) uevents_seen SEC(".maps");

/* True in one of the two programs, or in the only one that the kernel has not left out. */
static __always_inline bool is_first_sight(__u64 buffer)
{
	__u64 token = task_token(current_task()),
	      *seen = bpf_map_lookup_elem(&uevents_seen, &token);

	if (seen && *seen == buffer) {
		bpf_map_delete_elem(&uevents_seen, &token);
		return false;
	}
	bpf_map_update_elem(&uevents_seen, &token, &buffer, BPF_ANY);
	return true;
}

/* Linux before 5.17 gives dev_uevent the kset first; set by the agent before loading. */
const volatile bool dev_uevent_has_kset = false;

/*
 * dev_uevent(kobj, env) (drivers/base/core.c) adds a device's keys to the buffer, in the emitter's
 * context, right before the broadcast; an error of it ends the uevent unsent. It runs for a read of
 * the sysfs uevent file too, which is told by the buffer. Misses uevents of kobjects that are no
 * devices (modules, drivers, queues): no loop device is among them.
 */
static __always_inline int device_uevent_made(unsigned long long *context)
{
	struct kobj_uevent_env *env = (void *)context[1];
	int result = context[2];
	__u64 buffer = 0;

	if (dev_uevent_has_kset) {
		/* Else clang makes one load of both, at an offset that the verifier cannot know. */
		barrier_var(context);
		env = (void *)context[2];
		result = context[3];
	}
	/* A plain number, as the shared bodies want it. */
	bpf_probe_read_kernel(&buffer, sizeof(buffer), &env);
	struct uevent event = {
	    .text = (const char *)buffer + bpf_core_field_offset(env->buf),
	    .form = UEVENT_FORM_BUFFER,
	    .from_kernel = true,
	};

	if (result == 0 && is_first_sight(buffer))
		uevent_emitted(&event);
	return 0;
}

SEC("?fexit/dev_uevent")
int uevent_emission_fexit(unsigned long long *context)
{
	return device_uevent_made(context);
}

SEC("?fexit/dev_uevent")
int uevent_emission_again_fexit(unsigned long long *context)
{
	return device_uevent_made(context);
}

/* On one delivery to one receiver: the whole message, or nothing of it. */
static __always_inline enum verdict uevent_delivered(struct sk_buff *skb, struct sock *receiver)
{
	struct filter_settings *config = filter_settings();
	struct uevent event = uevent_of_message(skb, receiver);
	enum rule rule = RULE_NOT_LOOP;

	if (!config || is_canary(config, CANARY_UEVENT_DELIVERY) || config->mode == FILTER_MODE_OFF)
		return VERDICT_DELIVER;
	if (examine_uevent(&event, config))
		rule = receiver_rule(event.ownership, receiver, config);
	count(&delivery_counts, verdict_of(rule) * RULE_COUNT + rule);
	return verdict_of(rule);
}

/* On a receiver's socket. sk_filter_trim_cap points skb->sk at the receiver while the filter runs. */
SEC("?socket")
int uevent_delivery_socket(struct __sk_buff *context)
{
	struct sk_buff *skb = kernel_skb(context);

	return uevent_delivered(skb, READ(skb, sk)) == VERDICT_HIDE ? 0 : -1;
}

/*
 * security_sock_rcv_skb(sk, skb) (security/security.c): before the receiver's own filter, for every
 * socket of the host, so that no new one can slip past; an error drops just this receiver's copy,
 * and the sender never knows (netlink_broadcast counts it as delivered).
 */
SEC("?fmod_ret/security_sock_rcv_skb")
int BPF_PROG(uevent_delivery_fmod_ret, struct sock *sock, struct sk_buff *skb)
{
	return uevent_delivered(skb, sock) == VERDICT_HIDE ? -EPERM : 0;
}

/*
 * The same once more (bpf/gates.bpf.c), uncounted. Attached before the first, it runs after it, where that one has
 * delivered or was left out.
 */
SEC("?fmod_ret/security_sock_rcv_skb")
int BPF_PROG(uevent_delivery_again_fmod_ret, struct sock *sock, struct sk_buff *skb)
{
	struct filter_settings *config = filter_settings();
	struct uevent event = uevent_of_message(skb, sock);

	if (!config || config->mode != FILTER_MODE_HIDE || !examine_uevent(&event, config))
		return 0;
	return verdict_of(receiver_rule(event.ownership, sock, config)) == VERDICT_HIDE ? -EPERM
											: 0;
}

/* An LSM's programs are never left out (bpf_prog_check_recur in include/linux/bpf_verifier.h). */
SEC("?lsm/socket_sock_rcv_skb")
int BPF_PROG(uevent_delivery_lsm, struct sock *sock, struct sk_buff *skb)
{
	return uevent_delivered(skb, sock) == VERDICT_HIDE ? -EPERM : 0;
}
