/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map, shared by all objects: __weak, so that the static linker joins the copies into one.
 * Hash maps are preallocated (tracing programs may not allocate before 6.1), the agent sets their
 * sizes before loading.
 */
#ifndef LOOPWARDEN_MAPS_BPF_H
#define LOOPWARDEN_MAPS_BPF_H

#include "read.bpf.h"
#include "event.h"
#include "layout_hash.h"

/* Compared with the agent's own before anything is loaded. */
__weak const volatile __u64 layout_hash = LAYOUT_HASH;

/* A SHA-256. */
struct acting_build {
	__u8 digest[32];
};

/* JSON, ended by NUL. */
struct load_report {
	char text[32768];
};

#define MAP(map_type, key_type, value_type, entries)                                               \
	struct {                                                                                   \
		__uint(type, map_type);                                                            \
		__uint(max_entries, entries);                                                      \
		__type(key, key_type);                                                             \
		__type(value, value_type);                                                         \
	}
#define RING(bytes)                                                                                \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_RINGBUF);                                                \
		__uint(max_entries, bytes);                                                        \
	}

__weak MAP(BPF_MAP_TYPE_ARRAY, __u32, struct filter_settings, 1) settings SEC(".maps");
__weak MAP(BPF_MAP_TYPE_HASH, __u32, struct owner_entry, 16384) owners SEC(".maps");
__weak MAP(BPF_MAP_TYPE_HASH, __u64, struct userns_entry, 16384) userns SEC(".maps");
__weak MAP(BPF_MAP_TYPE_HASH, struct userns_key, __u64, 16384) userns_stamps SEC(".maps");
__weak MAP(BPF_MAP_TYPE_HASH, __u64, struct inflight_entry, 8192) inflight SEC(".maps");
/* Devices that the agent is making for a user namespace: devno → its id. */
__weak MAP(BPF_MAP_TYPE_HASH, __u32, __u64, 1024) stated_owners SEC(".maps");
/* Of those that containers without a user namespace opened: their container's id. */
__weak MAP(BPF_MAP_TYPE_LRU_HASH, struct receiver_key, __u64, 4096) receiver_containers
    SEC(".maps");
/*
 * Disks of other drivers than loop that have an entry in `owners`: their names, by which a uevent
 * tells them, to their devnos.
 */
__weak MAP(BPF_MAP_TYPE_HASH, struct disk_name, __u32, 4096) disks SEC(".maps");
/* Which stands on which; the value is the address of the disk above, to tell its life. */
__weak MAP(BPF_MAP_TYPE_HASH, struct stack_link, __u64, 4096) stack_links SEC(".maps");
/* A table that failed to load leaves its claim. */
__weak MAP(BPF_MAP_TYPE_LRU_HASH, __u64, struct claim_entry, 1024) claims SEC(".maps");
/* Cookies of the receivers on the allow-list. */
__weak MAP(BPF_MAP_TYPE_HASH, __u64, __u32, 1024) allowed_receivers SEC(".maps");

__weak MAP(BPF_MAP_TYPE_ARRAY, __u32, struct record_budgets, 1) record_budgets SEC(".maps");
/*
 * Principal → the boot time at which its records are paid for. Of more than these the one that was silent longest has a
 * new purse: only root makes so many.
 */
__weak MAP(BPF_MAP_TYPE_LRU_HASH, __u64, __u64, 4096) budgets SEC(".maps");
__weak MAP(BPF_MAP_TYPE_HASH, struct aggregate_key, struct aggregate_entry, 4096) aggregates
    SEC(".maps");

/* Beside the ring, as nothing else is: a full one would have somebody wait for ever. */
__weak MAP(BPF_MAP_TYPE_HASH, struct lost_cookie, __u32, 1024) lost_cookies SEC(".maps");

/* What the set that acts was built from: read and written by agents only (src/kernel/acting-set.ts). */
__weak MAP(BPF_MAP_TYPE_ARRAY, __u32, struct acting_build, 1) acting_build SEC(".maps");

/* What the loader tells the agent: written and read by them only (src/kernel/load-report.ts). */
__weak MAP(BPF_MAP_TYPE_ARRAY, __u32, struct load_report, 1) load_report SEC(".maps");

__weak RING(2 << 20) events SEC(".maps");
/* Apart from the events: nothing a container does may delay the filter of a new receiver. */
__weak RING(64 << 10) receiver_events SEC(".maps");

__weak MAP(BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, 1) record_seq SEC(".maps");
__weak MAP(BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, 4) event_counts SEC(".maps");
/* By kind, as event_counts. */
__weak MAP(BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, 4) aggregate_counts SEC(".maps");
__weak MAP(BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, DROP_REASON_COUNT)
drop_counts SEC(".maps");
__weak MAP(BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64,
	   LOOP_COMMAND_COUNT *IOCTL_RESULT_COUNT) ioctl_counts SEC(".maps");
__weak MAP(BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct duration_histogram, LOOP_COMMAND_COUNT)
ioctl_durations SEC(".maps");
__weak MAP(BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64,
	   UEVENT_SUBSYSTEM_COUNT *UEVENT_ACTION_COUNT *VERDICT_COUNT) uevent_counts SEC(".maps");
__weak MAP(BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, VERDICT_COUNT *RULE_COUNT) delivery_counts
    SEC(".maps");
__weak MAP(BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, CANARY_COUNT)
canary_counts SEC(".maps");

static __always_inline struct filter_settings *filter_settings(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&settings, &zero);
}

static __always_inline void count(void *counters, __u32 index)
{
	__u64 *value = bpf_map_lookup_elem(counters, &index);

	/* Atomic though per CPU: a program may be preempted by another one on the same CPU. */
	if (value)
		__sync_fetch_and_add(value, 1);
}

static __always_inline void count_drop(enum drop_reason reason)
{
	count(&drop_counts, reason);
}

#endif
