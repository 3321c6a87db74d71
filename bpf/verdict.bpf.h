/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The verdict on one delivery of one uevent to one receiver: hide it if and only if the device has
 * an owner that is not the initial user namespace, and the receiver's user namespace is not that
 * owner nor one of its ancestors below the initial one, and the receiver is not on the allow-list.
 * Where the owner is a container without a user namespace, the same of the receiver's container.
 * Decided by the device's owner, never by the emitter.
 */
#ifndef LOOPWARDEN_VERDICT_BPF_H
#define LOOPWARDEN_VERDICT_BPF_H

#include "container.bpf.h"
#include "stack.bpf.h"
#include "uevent_text.bpf.h"

/*
 * udevd is told of a close by inotify and answers with `change` a moment later, when the life may
 * have ended.
 */
#define ECHO_WINDOW_NS 5000000000ULL

struct uevent {
	const char *text;
	enum uevent_form form;
	bool from_kernel; /* user space can send uevents too */
	struct uevent_name name;
	struct uevent_fields fields;
	struct ownership ownership;
};

/*
 * Only the kernel's own (portid 0) teach us who made a device. To a network namespace of another
 * user namespace than the initial one it sends none (since 4.18): there it repeats, in the sender's
 * context, what a root of that one asks it to (uevent_net_rcv), who could so make any device his.
 */
static __always_inline bool is_from_kernel(struct sk_buff *skb, struct sock *receiver)
{
	struct netlink_skb_parms *parms = (void *)skb + bpf_core_field_offset(skb->cb);

	return READ(parms, portid) == 0 &&
	       READ(receiver, __sk_common.skc_net.net, user_ns, level) == 0;
}

/* Is the emitter the host's udevd, or the child it forks to write to sysfs? */
static __always_inline bool is_udevd(struct task_struct *task, __u32 udev_tgid)
{
	return udev_tgid && ((__u32)READ(task, tgid) == udev_tgid ||
			     (__u32)READ(task, real_parent, tgid) == udev_tgid);
}

/*
 * A kernel `add` of a disk or of its bdi is sent by the task that makes the device: LOOP_CTL_ADD,
 * LOOP_CTL_GET_FREE, or the open of a node that had no device.
 */
static __always_inline void learn_creator(struct uevent *event, struct task_struct *task,
					  struct inflight_entry *call,
					  const struct filter_settings *config)
{
	owner_created(event->name.devno,
		      task_claim(task, userns_remember(task_userns(task)), config));
	if (!call)
		return;
	call->created = event->name.devno;
	if (event->fields.diskseq)
		call->created_diskseq = event->fields.diskseq;
}

/*
 * The `change` of an attachment is sent inside its call. On system calls another thread may have made the descriptor
 * lead elsewhere since we saw it: then this is the device, and nothing is under way on the one that was seen. The
 * kernel sends no other disk's `change` there.
 */
static __always_inline void follow_call(const struct uevent *event, struct inflight_entry *call,
					struct task_struct *task)
{
	if (!takes_life(call->command) || call->devno == event->name.devno ||
	    event->name.other_driver || event->name.action != UEVENT_ACTION_CHANGE ||
	    !event->name.whole_disk || event->fields.synthetic || !event->from_kernel)
		return;
	owner_withdrawn(call->devno, task_token(task));
	call->devno = event->name.devno;
	call->created_diskseq = event->fields.diskseq;
	call->state = LOOP_STATE_UNBOUND;
}

/* Whose device the uevent is about, at this moment, in the emitter's context. */
static __always_inline void resolve_uevent(struct uevent *event,
					   const struct filter_settings *config)
{
	struct task_struct *task = current_task();
	struct inflight_entry *call = inflight_lookup(task);
	struct owner_entry *entry;

	if (event->name.action == UEVENT_ACTION_ADD && !event->fields.synthetic &&
	    (event->name.whole_disk || event->fields.subsystem == UEVENT_SUBSYSTEM_BDI) &&
	    event->from_kernel)
		learn_creator(event, task, call, config);

	if (call)
		follow_call(event, call, task);
	/* The emitter is attaching a file to this very device: the life is the emitter's. */
	if (call && call->devno == event->name.devno && takes_life(call->command) &&
	    call->state == LOOP_STATE_UNBOUND) {
		event->ownership.owner = call->userns;
		event->ownership.rule =
		    call->userns == USERNS_INITIAL ? RULE_INITIAL_OWNER : RULE_PENDING;
		return;
	}
	entry = owner_lookup(event->name.devno);
	event->ownership = owner_resolve(entry);
	if (!entry || is_owned(event->ownership))
		return;
	/* The host's again, but udevd only echoes what the last holder did with it. */
	if (entry->last_holder != USERNS_NONE && entry->last_holder != USERNS_INITIAL &&
	    event->fields.synthetic && is_udevd(task, config->udev_tgid) &&
	    bpf_ktime_get_boot_ns() - entry->released_boot_ns < ECHO_WINDOW_NS) {
		event->ownership.owner = entry->last_holder;
		event->ownership.rule = RULE_ECHO;
	}
}

/*
 * The `remove` of a disk or of its bdi, sent when it is off all that was below it: hidden as all
 * that came before it, or, where the host was told of the device, not.
 */
static __always_inline void resolve_removal(struct uevent *event, const struct owner_entry *entry)
{
	if (entry->host_knows) {
		event->ownership.owner = USERNS_INITIAL;
		event->ownership.rule = RULE_INITIAL_OWNER;
	} else if (entry->stack == STACK_STATE_LEFT) {
		event->ownership.owner = entry->stacked;
		event->ownership.rule = RULE_STACKED;
	}
}

/*
 * The same for a device of another driver. False: it is the host's own, or what is beneath no disk
 * that is known. Costs the host's devices one lookup.
 */
static __always_inline bool examine_disk(struct uevent *event, const struct filter_settings *config)
{
	struct task_struct *task = current_task();
	bool is_add = event->name.action == UEVENT_ACTION_ADD && event->from_kernel, is_bdi;
	struct owner_entry *entry;

	if (!event->name.devno && !is_add)
		return false;
	event->fields = uevent_fields(event->text, event->form, &event->name);
	is_bdi = event->fields.subsystem == UEVENT_SUBSYSTEM_BDI;
	if (is_add && !event->fields.synthetic && (event->name.whole_disk || is_bdi)) {
		if (!is_bdi)
			event->name.devno =
			    uevent_numbers(event->text, event->form, &event->name) >> 32;
		if (event->name.devno)
			learn_disk(
			    event->name.devno,
			    is_bdi ? 0 : disk_name_address(event->text, event->form, &event->name),
			    task_claim(task, userns_remember(task_userns(task)), config));
	}
	entry = owner_lookup(event->name.devno);
	if (!entry)
		return false;
	event->ownership = owner_resolve(entry);
	if (event->name.action == UEVENT_ACTION_REMOVE && !event->fields.synthetic &&
	    (event->name.whole_disk || is_bdi))
		resolve_removal(event, entry);
	return true;
}

static __always_inline bool find_owner(struct uevent *event, const struct filter_settings *config)
{
	event->ownership.owner = USERNS_NONE;
	event->ownership.rule = RULE_NOT_LOOP;
	if (!uevent_name(event->text, event->form, config->part_shift, &event->name))
		return false;
	if (event->name.other_driver) {
		if (!examine_disk(event, config))
			return false;
	} else {
		if (!event->name.devno)
			return false;
		event->fields = uevent_fields(event->text, event->form, &event->name);
		resolve_uevent(event, config);
	}
	/* Owned since the scope was another: it is the host's as long as it is not that again. */
	if (is_container_id(event->ownership.owner) && config->scope != HIDE_SCOPE_CONTAINER) {
		event->ownership.owner = USERNS_INITIAL;
		event->ownership.rule = RULE_INITIAL_OWNER;
	}
	return true;
}

/* Of what a function of its own returns the verifier knows nothing. */
__weak __noinline __u64 any_value(__u64 value)
{
	return value;
}

/*
 * There are many ways to an owner, a rule, an action, each of which the verifier would walk on to the end of the
 * program (Linux 6.1: six times the work). Here they come together again.
 */
static __always_inline void join_ways(struct uevent *event)
{
	__u64 word = event->ownership.rule | event->name.action << 8 |
		     event->fields.subsystem << 12 | event->fields.synthetic << 16 |
		     event->name.whole_disk << 17 | event->name.other_driver << 18;

	word = any_value(word);
	event->ownership.owner = any_value(event->ownership.owner);
	event->ownership.rule = word & 0xff;
	event->name.action = word >> 8 & 0xf;
	event->fields.subsystem = word >> 12 & 0xf;
	event->fields.synthetic = word >> 16 & 1;
	event->name.whole_disk = word >> 17 & 1;
	event->name.other_driver = word >> 18 & 1;
}

/* False: not about a device that anybody owns, or not a uevent of the kernel's form. */
static __always_inline bool examine_uevent(struct uevent *event,
					   const struct filter_settings *config)
{
	if (!find_owner(event, config))
		return false;
	join_ways(event);
	return true;
}

static __always_inline struct uevent uevent_of_message(struct sk_buff *skb, struct sock *receiver)
{
	struct uevent event = {
	    .text = (const char *)READ(skb, data),
	    .form = UEVENT_FORM_MESSAGE,
	    .from_kernel = is_from_kernel(skb, receiver),
	};

	return event;
}

/* Is `ancestor` an ancestor of `id`, below the initial namespace? */
__weak __noinline int is_ancestor(__u64 ancestor, __u64 id)
{
	int depth;

	for (depth = 0; depth < USERNS_DEPTH_MAX; depth++) {
		struct userns_entry *entry = bpf_map_lookup_elem(&userns, &id);

		if (!entry || entry->parent == USERNS_INITIAL)
			return false;
		id = entry->parent;
		if (id == ancestor)
			return true;
	}
	return false;
}

/* The rule for this receiver: one of those that hide, or one of those that deliver. */
static __always_inline enum rule receiver_rule(struct ownership ownership, struct sock *sock,
					       const struct filter_settings *config)
{
	__u64 receiver = USERNS_NONE, cookie;
	struct user_namespace *ns;

	if (!is_owned(ownership))
		return ownership.rule;
	ns = READ(sock, sk_socket, file, f_cred, user_ns);
	if (ns && READ(ns, level) > 0)
		receiver = userns_id(ns);
	else if (is_container_id(ownership.owner))
		receiver = receiver_container(sock);
	if (receiver != USERNS_NONE) {
		if (receiver == ownership.owner)
			return RULE_RECEIVER_OWNS;
		if (is_ancestor(receiver, ownership.owner))
			return RULE_RECEIVER_IS_ANCESTOR;
	}
	cookie = READ(sock, __sk_common.skc_cookie.counter);
	if (cookie && bpf_map_lookup_elem(&allowed_receivers, &cookie))
		return RULE_ALLOW_LIST;
	return config->mode == FILTER_MODE_HIDE ? ownership.rule : RULE_OBSERVE;
}

static __always_inline enum verdict verdict_of(enum rule rule)
{
	return rule >= RULE_CREATOR ? VERDICT_HIDE : VERDICT_DELIVER;
}

#endif
