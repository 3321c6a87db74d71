/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The two halves of a loop ioctl, whichever link brought us here. */
#ifndef LOOPWARDEN_IOCTL_BPF_H
#define LOOPWARDEN_IOCTL_BPF_H

#include "budget.bpf.h"
#include "container.bpf.h"
#include "loop_command.bpf.h"

/* include/uapi/linux/loop.h */
#define LO_FLAGS_AUTOCLEAR 4

#define EPERM  1
#define ENXIO  6
#define EBADF  9
#define EACCES 13
#define EBUSY  16
#define EEXIST 17
#define ENODEV 19
#define EINVAL 22
#define ENOSPC 28

/* 0 for a number that no loop device can have: the caller may have made it up. */
static __always_inline __u32 devno_of_number(__u64 number, __u32 part_shift)
{
	if ((__u32)number > LOOP_NUMBER_MAX >> (part_shift & 0xf))
		return 0;
	return MAKE_DEVNO(LOOP_MAJOR, (__u32)number << (part_shift & 0xf));
}

/* Task storage came with Linux 5.11; set by the agent, which makes only the map that is used. */
const volatile bool has_task_storage = false;

/* Freed with its task, and found without a lock: what a lookup by thread id could not be. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct call_entry);
} calls SEC(".maps");
MAP(BPF_MAP_TYPE_HASH, __u64, struct call_entry, 8192) calls_by_thread SEC(".maps");

static __always_inline struct call_entry *call_lookup(struct task_struct *task)
{
	__u64 token;

	if (has_task_storage)
		return bpf_task_storage_get(&calls, bpf_get_current_task_btf(), NULL, 0);
	token = task_token(task);
	return bpf_map_lookup_elem(&calls_by_thread, &token);
}

static __always_inline struct call_entry *call_begin(struct task_struct *task)
{
	struct call_entry empty = {};
	__u64 token;

	if (has_task_storage)
		return bpf_task_storage_get(&calls, bpf_get_current_task_btf(), NULL,
					    BPF_LOCAL_STORAGE_GET_F_CREATE);
	token = task_token(task);
	bpf_map_update_elem(&calls_by_thread, &token, &empty, BPF_ANY);
	return bpf_map_lookup_elem(&calls_by_thread, &token);
}

static __always_inline bool is_call_under_way(void)
{
	struct call_entry *call = call_lookup(current_task());

	return call && call->start_ns;
}

static __always_inline void call_end(struct call_entry *call, __u64 token)
{
	call->start_ns = 0;
	if (!has_task_storage)
		bpf_map_delete_elem(&calls_by_thread, &token);
}

/* Who the device belongs to that this call makes or attaches. */
static __always_inline __u64 claimant_of(const struct call_entry *call)
{
	return call->claimant != USERNS_NONE ? call->claimant : call->userns;
}

static __always_inline bool makes_device(__u32 command)
{
	return command == LOOP_COMMAND_LOOP_CTL_ADD || command == LOOP_COMMAND_LOOP_CTL_GET_FREE;
}

/* Uevents are sent before these return, so the programs on them must know of the call. */
static __always_inline void announce_call(const struct call_entry *call, __u64 token)
{
	struct inflight_entry entry = {
	    .userns = claimant_of(call),
	    .command = call->command,
	    .devno = call->devno,
	    .state = call->state,
	};

	if (bpf_map_update_elem(&inflight, &token, &entry, BPF_ANY)) {
		count_drop(DROP_REASON_INFLIGHT_FULL);
		return;
	}
	/* Only an unbound device can begin a life: a call that must fail names no pending owner. */
	if (call->devno && takes_life(call->command) && call->state == LOOP_STATE_UNBOUND)
		owner_pending(call->devno, claimant_of(call), token, call->loop_address);
}

static __always_inline void ioctl_entered(const struct loop_target *target, __u32 command,
					  __u64 argument, __u32 arch)
{
	struct task_struct *task = current_task();
	struct filter_settings *config = filter_settings();
	/* Apart: a core read relocates every access in its expression, one of ours too. */
	struct loop_device *loop = target->loop;
	struct owner_entry *entry;
	struct call_entry *call;
	__u32 devno;

	if (config &&
	    is_canary(config, loop ? CANARY_DEVICE_IOCTL_ENTRY : CANARY_CONTROL_IOCTL_ENTRY))
		return;
	call = call_begin(task);
	if (!call) {
		/* A record that will never be made has its number all the same. */
		next_cpu_seq();
		count_drop(DROP_REASON_INFLIGHT_FULL);
		return;
	}
	call->command = command;
	call->argument = argument;
	call->arch = arch;
	call->file = (__u64)target->file;
	call->userns = userns_remember(task_userns(task));
	call->claimant = task_claim(task, call->userns, config);
	call->loop_address = (__u64)loop;
	call->devno = target->devno;
	call->diskseq = 0;
	call->state = LOOP_STATE_UNBOUND;
	call->flags = 0;
	call->owner = USERNS_NONE;
	if (loop) {
		call->diskseq = disk_sequence(target->disk);
		call->state = READ_LOOP(loop, lo_state);
		if (command == LOOP_COMMAND_LOOP_CLR_FD)
			call->flags = READ_LOOP(loop, lo_flags);
		entry = owner_lookup(target->devno);
		/* A life that began where we did not see the device. */
		if (entry && !entry->loop_address)
			entry->loop_address = call->loop_address;
		call->owner = owner_resolve(entry).owner;
	} else if (is_control(command) && command != LOOP_COMMAND_LOOP_CTL_GET_FREE && config) {
		devno = devno_of_number(argument, config->part_shift);
		call->owner = owner_resolve(owner_lookup(devno)).owner;
	}
	call->start_ns = bpf_ktime_get_boot_ns();
	if (takes_life(command) || makes_device(command))
		announce_call(call, task_token(task));
}

static __always_inline bool settles_owner(__u32 command)
{
	return takes_life(command) || is_control(command) || command == LOOP_COMMAND_LOOP_CLR_FD ||
	       command == LOOP_COMMAND_LOOP_CHANGE_FD;
}

/*
 * What the current call has done to the ownership, now that its result is known. `diskseq` and `state` are
 * the device's after it. Returns its device.
 */
__weak __noinline __u32 settle_owner(__u32 created, __s64 result, __u64 diskseq, __u32 state)
{
	struct filter_settings *config = filter_settings();
	struct task_struct *task = current_task();
	struct call_entry *call = call_lookup(task);
	__u64 token = task_token(task);
	__u32 part_shift = config ? config->part_shift : 0, devno;
	struct owner_entry *entry;

	if (!call)
		return 0;
	devno = call->devno;
	switch (call->command) {
	case LOOP_COMMAND_LOOP_CONFIGURE:
	case LOOP_COMMAND_LOOP_SET_FD:
		/* No life began here if the kernel was led elsewhere than we were: it raises the number. */
		if (result < 0 || (diskseq && diskseq == call->diskseq))
			owner_withdrawn(devno, token);
		else
			owner_committed(devno, claimant_of(call), token, diskseq);
		break;
	case LOOP_COMMAND_LOOP_CLR_FD:
		/*
		 * Others may hold it open: then it ends with the last close, and a uevent says
		 * so.
		 */
		entry = owner_lookup(devno);
		if (result >= 0 && entry && state == LOOP_STATE_UNBOUND)
			owner_released(entry);
		break;
	case LOOP_COMMAND_LOOP_CHANGE_FD:
		/* Another file raises the disk's number too, in the same life. */
		entry = owner_lookup(devno);
		if (result >= 0 && entry && entry->holder != USERNS_NONE)
			entry->holder_diskseq = diskseq;
		break;
	case LOOP_COMMAND_LOOP_CTL_ADD:
		devno = devno_of_number(result < 0 ? call->argument : result, part_shift);
		/* Without a listener no `add` was seen; the result says the same. */
		if (result >= 0 && created != devno)
			owner_created(devno, claimant_of(call));
		break;
	case LOOP_COMMAND_LOOP_CTL_GET_FREE:
		/*
		 * Makes a device only if there is no free one: `add` was seen, or it is an old
		 * one.
		 */
		devno = result < 0 ? 0 : devno_of_number(result, part_shift);
		break;
	case LOOP_COMMAND_LOOP_CTL_REMOVE:
		devno = devno_of_number(call->argument, part_shift);
		if (result >= 0)
			owner_removed(devno);
		break;
	}
	return devno;
}

static __always_inline __u32 ioctl_result_of(__s64 result)
{
	if (result >= 0)
		return IOCTL_RESULT_OK;
	switch (-result) {
	case EPERM:
		return IOCTL_RESULT_EPERM;
	case EBADF:
		return IOCTL_RESULT_EBADF;
	case EACCES:
		return IOCTL_RESULT_EACCES;
	case EBUSY:
		return IOCTL_RESULT_EBUSY;
	case EEXIST:
		return IOCTL_RESULT_EEXIST;
	case ENODEV:
		return IOCTL_RESULT_ENODEV;
	case EINVAL:
		return IOCTL_RESULT_EINVAL;
	case ENOSPC:
		return IOCTL_RESULT_ENOSPC;
	case ENXIO:
		return IOCTL_RESULT_ENXIO;
	default:
		return IOCTL_RESULT_OTHER;
	}
}

/* Functions of their own, which the verifier walks once: it would multiply what they may do with all before and after. */
__weak __noinline int count_ioctl(__u32 command, __s64 result, __u64 duration_ns)
{
	struct duration_histogram *histogram = bpf_map_lookup_elem(&ioctl_durations, &command);
	__u32 bucket = duration_ns < 10000         ? 0
		       : duration_ns < 100000      ? 1
		       : duration_ns < 1000000     ? 2
		       : duration_ns < 10000000    ? 3
		       : duration_ns < 100000000   ? 4
		       : duration_ns < 1000000000  ? 5
		       : duration_ns < 10000000000 ? 6
						   : 7;

	count(&ioctl_counts, command * IOCTL_RESULT_COUNT + ioctl_result_of(result));
	if (!histogram)
		return 0;
	__sync_fetch_and_add(&histogram->buckets[bucket], 1);
	__sync_fetch_and_add(&histogram->sum_ns, duration_ns);
	return 0;
}

static __always_inline void fill_ioctl(struct ioctl_event *record, const struct call_entry *call,
				       struct task_struct *task, __s64 result, __u32 devno,
				       __u64 owner_after, __u32 is_foreign, __u64 now)
{
	struct file *file = (void *)call->file;
	struct cred *opener = READ(file, f_cred);
	struct user_namespace *opener_ns = READ(opener, user_ns);

	fill_caller(&record->caller, task, call->userns, is_foreign);
	record->command = call->command;
	record->result = result;
	record->duration_ns = now - call->start_ns;
	record->argument = call->argument;
	record->devno = devno;
	record->arch = call->arch;
	record->opener_uid = READ(opener, euid.val);
	record->opener_userns_inum = READ(opener_ns, ns.inum);
	record->opener_userns = userns_id(opener_ns);
	record->diskseq_before = call->diskseq;
	record->owner_before = call->owner;
	record->owner_after = owner_after;
	record->path_length = 0;
	record->path_truncated = 0;
}

static __always_inline void submit_ioctl(void *record)
{
	bpf_ringbuf_submit(record, 0);
	count(&event_counts, EVENT_KIND_IOCTL);
}

/* Commands that give the device another backing file: only these pay for the path. */
static __always_inline bool sets_backing(__u32 command)
{
	return takes_life(command) || command == LOOP_COMMAND_LOOP_CHANGE_FD;
}

/*
 * The attachment was of another device than was seen at entry (follow_call), of which little is known: nobody looked at
 * its struct yet, and whose descriptor it was is not to be told any more.
 */
static __always_inline void redirect_call(struct call_entry *call,
					  const struct inflight_entry *announced)
{
	struct owner_entry *entry = owner_lookup(announced->devno);

	call->devno = announced->devno;
	call->loop_address = entry ? entry->loop_address : 0;
	call->owner = entry ? entry->creator : USERNS_NONE;
	call->diskseq = 0;
	call->file = 0;
}

/*
 * Has the call changed whose a device is, or which file it has? Its record is then made whatever else there is. The kernel
 * takes long over each of these (it makes or removes a disk, or lets its queue run dry), unless it says yes and does
 * nothing: LOOP_CTL_GET_FREE of a device that was there, LOOP_CLR_FD of one that others hold open, for the second time.
 * `created`: the disk that it made.
 */
static __always_inline bool changes_ownership(const struct call_entry *call, __s64 result,
					      const struct loop_config_state *after, __u32 created)
{
	if (result < 0)
		return false;
	switch (call->command) {
	case LOOP_COMMAND_LOOP_CONFIGURE:
	case LOOP_COMMAND_LOOP_SET_FD:
	case LOOP_COMMAND_LOOP_CHANGE_FD:
	case LOOP_COMMAND_LOOP_CTL_ADD:
	case LOOP_COMMAND_LOOP_CTL_REMOVE:
		return true;
	case LOOP_COMMAND_LOOP_CTL_GET_FREE:
		return created;
	case LOOP_COMMAND_LOOP_CLR_FD:
		return after->state != LOOP_STATE_BOUND ||
		       (after->flags & ~call->flags & LO_FLAGS_AUTOCLEAR);
	}
	return false;
}

/* `canary`: the return that this is, of a device's ioctl or of loop-control's. */
static __always_inline void ioctl_returned(__s64 result, enum canary canary)
{
	struct filter_settings *config = filter_settings();
	struct task_struct *task = current_task();
	struct call_entry *call;
	__u64 token = task_token(task), now, owner_after, cpu_seq;
	struct loop_config_state after = {};
	struct inflight_entry *announced;
	struct loop_device *loop;
	__u32 devno, created = 0;
	__u32 foreign;

	if (!config || is_canary(config, canary))
		return;
	call = call_lookup(task);
	if (!call || !call->start_ns)
		return;
	now = bpf_ktime_get_boot_ns();
	if (takes_life(call->command) || makes_device(call->command)) {
		announced = bpf_map_lookup_elem(&inflight, &token);
		if (announced) {
			if (announced->devno != call->devno)
				redirect_call(call, announced);
			created = announced->created;
			after.diskseq = announced->created_diskseq;
			bpf_map_delete_elem(&inflight, &token);
		}
		if (takes_life(call->command) && !call->devno) {
			/* Not a loop device's, and none was attached. */
			call_end(call, token);
			return;
		}
	}
	devno = call->devno;
	owner_after = call->owner;
	loop = (void *)call->loop_address;
	/* The address was good at entry; it is not if the device was removed meanwhile. */
	if (call->loop_address && loop_state_at(call->loop_address) >= 0)
		loop_read_config(loop, &after);
	else if (takes_life(call->command) && result >= 0)
		after.state = LOOP_STATE_BOUND;
	if (settles_owner(call->command)) {
		devno = settle_owner(created, result, after.diskseq, after.state);
		owner_after = USERNS_NONE;
		if (devno)
			owner_after = owner_resolve(owner_lookup(devno)).owner;
	}
	count_ioctl(call->command, result, now - call->start_ns);
	foreign = is_foreign(call->owner, call->userns, call->claimant);
	if (!changes_ownership(call, result, &after, created) &&
	    is_counted_instead(EVENT_KIND_IOCTL, call->command, result, ABOUT(devno, foreign),
			       now)) {
		call_end(call, token);
		return;
	}
	cpu_seq = next_cpu_seq();

	if (result >= 0 && sets_backing(call->command)) {
		struct ioctl_path_event *record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);

		if (!record) {
			call_end(call, token);
			count_drop(DROP_REASON_RING_FULL);
			return;
		}
		fill_header(&record->event.header, EVENT_KIND_IOCTL, sizeof(*record), cpu_seq, now);
		fill_ioctl(&record->event, call, task, result, devno, owner_after, foreign, now);
		record->event.after = after;
		record->event.path_length = fill_path(record, READ_LOOP(loop, lo_backing_file));
		submit_ioctl(record);
	} else {
		struct ioctl_event *record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);

		if (!record) {
			call_end(call, token);
			count_drop(DROP_REASON_RING_FULL);
			return;
		}
		fill_header(&record->header, EVENT_KIND_IOCTL, sizeof(*record), cpu_seq, now);
		fill_ioctl(record, call, task, result, devno, owner_after, foreign, now);
		record->after = after;
		submit_ioctl(record);
	}
	call_end(call, token);
}

#endif
