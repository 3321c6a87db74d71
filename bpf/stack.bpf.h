/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Devices on devices (device-mapper, md): one that stands on a device that a user namespace owns is
 * that namespace's too, at any depth, however many others it stands on.
 *
 * The kernel tells of it in the context of the task that puts them together: the driver claims each
 * device below (bd_prepare_to_claim), and links the disk above to it (bd_link_disk_holder).
 * Device-mapper announces a disk after the claims of its first table, and links it after that (6.1
 * and newer; before, the other way round; before 5.15 it announces a disk that has no table). So for
 * the announcement a claim says what is below, and for all later the link.
 */
#ifndef LOOPWARDEN_STACK_BPF_H
#define LOOPWARDEN_STACK_BPF_H

#include "owner.bpf.h"
#include "task.bpf.h"
#include "uevent_text.bpf.h"

/*
 * Whoever claims says in whose name by an address. Device-mapper's is that of this text
 * (open_table_device in drivers/md/dm.c), which no file system or program can have.
 */
#define DM_HOLDER "I belong to device-mapper"

static __always_inline __u32 disk_devno(struct gendisk *disk)
{
	return MAKE_DEVNO(READ(disk, major), READ(disk, first_minor));
}

/* Of what the disk of `bdev`, itself or a partition, is owned by. */
static __always_inline struct ownership owner_below(struct block_device *bdev)
{
	struct gendisk *disk = READ(bdev, bd_disk);

	return owner_resolve(owner_lookup(disk_devno(disk)));
}

/*
 * Linux 5.10 passes the whole disk in the place of the holder: nothing is noted there, nor needed,
 * since it announces a disk before its table.
 */
static __always_inline void device_claimed(struct block_device *bdev, const void *holder)
{
	char text[sizeof(DM_HOLDER)] = {};
	struct claim_entry claim = {};
	struct ownership ownership;
	struct task_struct *task;
	__u64 token;

	if (bpf_probe_read_kernel(text, sizeof(text), holder) || !STARTS_WITH(text, DM_HOLDER))
		return;
	ownership = owner_below(bdev);
	if (!is_owned(ownership))
		return;
	task = current_task();
	token = task_token(task);
	claim.owner = ownership.owner;
	claim.bdev = plain_address(bdev);
	claim.start_boot_ns = READ(task, start_boottime);
	claim.holders = READ(bdev, bd_holders);
	bpf_map_update_elem(&claims, &token, &claim, BPF_ANY);
}

/*
 * The owner of what the task has claimed for device-mapper and not linked yet, to be that of the disk
 * `devno`; USERNS_NONE if there is nothing. A claim that came to nothing, or was given up, has left no
 * holder.
 */
__weak __noinline __u64 claimed_owner(__u32 devno)
{
	struct task_struct *task = current_task();
	__u64 token = task_token(task);
	struct claim_entry *claim = bpf_map_lookup_elem(&claims, &token);
	struct block_device *bdev;
	__u32 holders;

	if (!claim || claim->start_boot_ns != READ(task, start_boottime))
		return USERNS_NONE;
	bdev = (void *)claim->bdev;
	holders = READ(bdev, bd_holders);
	return holders > claim->holders ? claim->owner : USERNS_NONE;
}

/* The disk is on this device from now on. Linked twice, as it is when two programs see it, it is so once. */
static __always_inline void device_linked(struct block_device *bdev, struct gendisk *disk)
{
	struct ownership ownership = owner_below(bdev);
	struct gendisk *below = READ(bdev, bd_disk);
	struct stack_link link = {};
	__u64 token = task_token(current_task()), address = plain_address(disk), *known;
	struct owner_entry *entry;

	bpf_map_delete_elem(&claims, &token);
	if (!is_owned(ownership))
		return;
	link.above = disk_devno(disk);
	link.below = disk_devno(below);
	entry = owner_lookup(link.above);
	if (!entry) {
		entry = owner_lookup_or_add(link.above);
		if (!entry)
			return;
		/* Nobody hid its `add`, if it was sent already: learn_disk knows better. */
		entry->host_knows = 1;
	}
	known = bpf_map_lookup_elem(&stack_links, &link);
	if (known && *known == address && entry->links)
		return;
	if (bpf_map_update_elem(&stack_links, &link, &address, BPF_ANY))
		count_drop(DROP_REASON_OWNER_MAP_FULL);
	/* The first of several owners stays: hidden is the device in either case. */
	if (entry->stack == STACK_STATE_NONE || entry->stack == STACK_STATE_LEFT)
		entry->stacked = ownership.owner;
	__sync_fetch_and_add(&entry->links, 1);
	entry->stack = STACK_STATE_LINKED;
	remember_disk(address + bpf_core_field_offset(disk->disk_name), link.above);
}

static __always_inline void device_unlinked(struct block_device *bdev, struct gendisk *disk)
{
	struct gendisk *below = READ(bdev, bd_disk);
	struct stack_link link = {.above = disk_devno(disk), .below = disk_devno(below)};
	struct owner_entry *entry = owner_lookup(link.above);

	/* Not there: it was never counted, or is no longer. */
	if (bpf_map_delete_elem(&stack_links, &link) || !entry || !entry->links)
		return;
	__sync_fetch_and_add(&entry->links, -1);
	if (entry->links == 0) {
		entry->released_boot_ns = bpf_ktime_get_boot_ns();
		entry->stack = STACK_STATE_LEFT;
	}
}

/* An empty entry takes a fifth of the stack: in a function of its own it is no longer there afterwards. */
__weak __noinline int ensure_owner(__u32 devno)
{
	return owner_lookup_or_add(devno) != NULL;
}

/*
 * A kernel `add` of a disk of another driver, or of its bdi, sent by the task that makes it: a new
 * device, nothing of an earlier one of its number remains. It is the user namespace's of what it
 * stands on, else of the task's. The host's own leave no entry.
 *
 * `name`: the address of the disk's; 0 for a bdi. `creator`: who the task makes it for. A function of its own that calls others: what they
 * need of the stack would not fit beside what their callers need.
 */
__weak __noinline int learn_disk(__u32 devno, __u64 name, __u64 creator)
{
	__u64 stacked = claimed_owner(devno);
	struct owner_entry *entry;

	if (stacked != USERNS_NONE)
		creator = USERNS_NONE;
	if (stacked == USERNS_NONE && creator == USERNS_INITIAL) {
		entry = owner_lookup(devno);
		/* Linked before its `add`, which is about to be hidden. */
		if (entry && entry->stack == STACK_STATE_LINKED)
			entry->host_knows = 0;
		else if (entry)
			owner_removed(devno);
		return 0;
	}
	ensure_owner(devno);
	entry = owner_lookup(devno);
	if (!entry)
		return 0;
	owner_begun(entry, creator);
	entry->links = 0;
	entry->host_knows = 0;
	entry->stacked = stacked;
	entry->stack = stacked == USERNS_NONE ? STACK_STATE_NONE : STACK_STATE_CLAIMED;
	if (name)
		remember_disk(name, devno);
	return 0;
}

#endif
