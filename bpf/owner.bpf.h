/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who owns a loop device: creator and holder, from the moment the kernel lets it be known.
 *
 * An owner_entry is written word by word in place and never replaced: the elements of a
 * preallocated hash are reused at once, so a replaced value could be read torn. A user namespace is
 * one 64-bit word everywhere.
 */
#ifndef LOOPWARDEN_OWNER_BPF_H
#define LOOPWARDEN_OWNER_BPF_H

#include "maps.bpf.h"
#include "loop_device.bpf.h"

/* As deep as the kernel nests user namespaces (kernel/user_namespace.c: level > 32 is ENOSPC). */
#define USERNS_DEPTH_MAX 33
/* Instead of USERNS_INITIAL, for a namespace that has its number without being it. */
#define USERNS_NUMBER_TAKEN (1ULL << 52 | USERNS_INITIAL)

static __always_inline bool is_container_id(__u64 id)
{
	return id >> CONTAINER_ID_BITS == CONTAINER_IDS >> CONTAINER_ID_BITS;
}

/*
 * The namespace's id: ns_id where the kernel has it. Elsewhere inums and addresses are reused, so
 * the id is the boot time at which (inum, address) was first seen.
 */
static __always_inline __u64 userns_id(struct user_namespace *ns)
{
	struct userns_key key = {};
	__u64 *known, id;

	if (!ns)
		return USERNS_NONE;
	if (READ(ns, level) == 0)
		return USERNS_INITIAL;
	if (bpf_core_field_exists(ns->ns.ns_id)) {
		id = READ(ns, ns.ns_id);
		return id == USERNS_INITIAL ? USERNS_NUMBER_TAKEN : id;
	}
	key.address = (__u64)ns;
	key.inum = READ(ns, ns.inum);
	known = bpf_map_lookup_elem(&userns_stamps, &key);
	if (known)
		return *known;
	id = bpf_ktime_get_boot_ns();
	/* For a quarter of an hour, after 104 days. */
	if (is_container_id(id))
		id -= 1ULL << CONTAINER_ID_BITS;
	if (!bpf_map_update_elem(&userns_stamps, &key, &id, BPF_NOEXIST))
		return id;
	/*
	 * Another CPU was first, or the table is full: then every sighting has a stamp of its
	 * own.
	 */
	known = bpf_map_lookup_elem(&userns_stamps, &key);
	if (known)
		return *known;
	count_drop(DROP_REASON_USERNS_MAP_FULL);
	return id;
}

/* The id of a namespace that was seen before; USERNS_NONE for one that has no stamp. Gives none. */
static __always_inline __u64 userns_known_id(struct user_namespace *ns)
{
	struct userns_key key = {};
	__u64 *known;

	if (bpf_core_field_exists(ns->ns.ns_id) || READ(ns, level) == 0)
		return userns_id(ns);
	key.address = plain_address(ns);
	key.inum = READ(ns, ns.inum);
	known = bpf_map_lookup_elem(&userns_stamps, &key);
	return known ? *known : USERNS_NONE;
}

/*
 * Notes the namespace and its ancestors, once, so that ancestry can be decided when they are gone.
 * Returns its id. A function of its own, which the verifier walks once: as are all that hold a
 * loop.
 */
__weak __noinline __u64 userns_remember_at(__u64 address)
{
	struct user_namespace *ns = (void *)address;
	__u64 id = userns_id(ns), first = id;
	int depth;

	for (depth = 0; depth < USERNS_DEPTH_MAX; depth++) {
		struct userns_entry entry = {};
		struct user_namespace *parent;

		if (id == USERNS_NONE || bpf_map_lookup_elem(&userns, &id))
			break;
		parent = READ(ns, parent);
		entry.parent = userns_id(parent);
		entry.first_seen_boot_ns = bpf_ktime_get_boot_ns();
		entry.inum = READ(ns, ns.inum);
		entry.level = READ(ns, level);
		entry.owner_uid = READ(ns, owner.val);
		entry.address = plain_address(ns);
		if (bpf_map_update_elem(&userns, &id, &entry, BPF_NOEXIST)) {
			if (!bpf_map_lookup_elem(&userns, &id))
				count_drop(DROP_REASON_USERNS_MAP_FULL);
			break;
		}
		ns = parent;
		id = entry.parent;
	}
	return first;
}

static __always_inline __u64 userns_remember(struct user_namespace *ns)
{
	__u64 id = userns_id(ns);

	return bpf_map_lookup_elem(&userns, &id) ? id : userns_remember_at(plain_address(ns));
}

static __always_inline struct owner_entry *owner_lookup(__u32 devno)
{
	return bpf_map_lookup_elem(&owners, &devno);
}

static __always_inline struct owner_entry *owner_lookup_or_add(__u32 devno)
{
	struct owner_entry empty = {}, *entry = owner_lookup(devno);

	if (entry)
		return entry;
	bpf_map_update_elem(&owners, &devno, &empty, BPF_NOEXIST);
	entry = owner_lookup(devno);
	if (!entry)
		count_drop(DROP_REASON_OWNER_MAP_FULL);
	return entry;
}

/* Nothing of an earlier device of its number remains. */
static __always_inline void owner_begun(struct owner_entry *entry, __u64 creator)
{
	entry->holder = USERNS_NONE;
	entry->pending = USERNS_NONE;
	entry->last_holder = USERNS_NONE;
	entry->loop_address = 0;
	entry->creator = creator;
}

/*
 * A kernel `add`, or a successful LOOP_CTL_ADD: a new device, nothing of an earlier one of its
 * number remains. What the host makes may be for a container: then the agent has said so before.
 */
static __always_inline void owner_created(__u32 devno, __u64 creator)
{
	struct owner_entry *entry = owner_lookup_or_add(devno);
	__u64 *stated;

	if (!entry)
		return;
	stated = bpf_map_lookup_elem(&stated_owners, &devno);
	if (stated && (creator == USERNS_INITIAL || is_container_id(creator)))
		creator = *stated;
	owner_begun(entry, creator);
}

static __always_inline void owner_removed(__u32 devno)
{
	bpf_map_delete_elem(&owners, &devno);
}

/* Entry of LOOP_CONFIGURE, LOOP_SET_FD: the kernel sends `change` before the call returns. */
static __always_inline void owner_pending(__u32 devno, __u64 ns, __u64 token, __u64 loop_address)
{
	struct owner_entry *entry = owner_lookup_or_add(devno);

	if (!entry)
		return;
	entry->loop_address = loop_address;
	entry->pending_token = token;
	entry->pending = ns;
}

static __always_inline void owner_withdrawn(__u32 devno, __u64 token)
{
	struct owner_entry *entry = owner_lookup(devno);

	if (entry && entry->pending_token == token)
		entry->pending = USERNS_NONE;
}

static __always_inline void owner_committed(__u32 devno, __u64 ns, __u64 token, __u64 diskseq)
{
	struct owner_entry *entry = owner_lookup(devno);

	if (!entry)
		return;
	entry->holder_diskseq = diskseq;
	entry->last_holder = USERNS_NONE;
	entry->holder = ns;
	if (entry->pending_token == token)
		entry->pending = USERNS_NONE;
}

/*
 * The life has ended: detach, autoclear on the last close. The holder's name stays for the echo
 * rule.
 */
static __always_inline void owner_released(struct owner_entry *entry)
{
	if (entry->holder == USERNS_NONE)
		return;
	entry->released_boot_ns = bpf_ktime_get_boot_ns();
	entry->last_holder = entry->holder;
	entry->holder = USERNS_NONE;
}

struct ownership {
	__u64 owner;
	enum rule rule; /* as if a host receiver listened: what makes it hidden or shown */
};

static __always_inline bool is_owned(struct ownership ownership)
{
	return ownership.owner != USERNS_NONE && ownership.owner != USERNS_INITIAL;
}

/*
 * Of what it stands on, else holder, else creator. `entry` may be null. Ends a life that the kernel has ended without our
 * seeing it.
 */
static __always_inline struct ownership owner_resolve(struct owner_entry *entry)
{
	struct ownership none = {USERNS_NONE, RULE_UNKNOWN_OWNER}, found = none;
	__s32 state;

	if (!entry)
		return none;
	if (entry->stack == STACK_STATE_CLAIMED || entry->stack == STACK_STATE_LINKED) {
		found.owner = entry->stacked;
		found.rule = RULE_STACKED;
		return found;
	}
	/* Is the life still there? An address that no longer leads to this device says nothing. */
	state = entry->loop_address ? loop_state_at(entry->loop_address) : -1;
	if (entry->holder != USERNS_NONE && state == LOOP_STATE_UNBOUND)
		owner_released(entry);
	found.owner = entry->holder;
	found.rule = RULE_HOLDER;
	if (found.owner == USERNS_NONE && state == LOOP_STATE_BOUND) {
		/*
		 * Bound, not yet committed: between the kernel's `change` and the end of the
		 * call.
		 */
		found.owner = entry->pending;
		found.rule = RULE_PENDING;
	}
	if (found.owner == USERNS_NONE) {
		found.owner = entry->creator;
		found.rule = RULE_CREATOR;
	}
	if (found.owner == USERNS_NONE)
		return none;
	if (found.owner == USERNS_INITIAL)
		found.rule = RULE_INITIAL_OWNER;
	return found;
}

#endif
