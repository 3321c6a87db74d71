/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads of the kernel's own loop objects: what an ioctl did is read here, never from the caller's
 * memory.
 */
#ifndef LOOPWARDEN_LOOP_DEVICE_BPF_H
#define LOOPWARDEN_LOOP_DEVICE_BPF_H

#include "maps.bpf.h"

/* What an open file leads to. */
struct loop_target {
	struct file *file;
	struct gendisk *disk;     /* null: loop-control */
	struct loop_device *loop; /* null: loop-control */
	__u32 devno;              /* of the whole disk, also when a partition was opened */
};

static __always_inline struct file *file_of_fd(struct task_struct *task, __u32 fd)
{
	struct fdtable *table = READ(task, files, fdt);
	struct file **slots, *file = NULL;

	if (!table || fd >= READ(table, max_fds))
		return NULL;
	slots = READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), &slots[fd]);
	return file;
}

static __always_inline __u64 disk_sequence(struct gendisk *disk)
{
	return bpf_core_field_exists(disk->diskseq) ? READ(disk, diskseq) : 0;
}

static __always_inline bool loop_target_of_disk(struct gendisk *disk, struct loop_target *target)
{
	if (!disk || READ(disk, major) != LOOP_MAJOR)
		return false;
	target->disk = disk;
	target->loop = READ(disk, private_data);
	target->devno = MAKE_DEVNO(LOOP_MAJOR, READ(disk, first_minor));
	return true;
}

/* A node is known by its device number, not by its path: a node made anywhere leads here. */
static __always_inline bool loop_target_of_file(struct file *file, struct loop_target *target)
{
	struct inode *inode = READ(file, f_inode), *host;
	struct block_device *bdev;
	__u32 type = READ(inode, i_mode) & FILE_TYPE_MASK;

	target->file = file;
	if (type == FILE_TYPE_CHARACTER)
		return READ(inode, i_rdev) == MAKE_DEVNO(MISC_MAJOR, LOOP_CTRL_MINOR);
	if (type != FILE_TYPE_BLOCK || READ(file, f_mode) & FMODE_PATH)
		return false;
	host = READ(file, f_mapping, host);
	bdev = (void *)host - bpf_core_field_offset(struct bdev_inode, vfs_inode);
	return loop_target_of_disk(READ(bdev, bd_disk), target);
}

static __always_inline struct gendisk *loop_disk(struct loop_device *loop)
{
	struct loop_device___without_btf *untyped = (void *)loop;
	struct gendisk *disk = NULL;

	if (bpf_core_type_exists(struct loop_device))
		return READ_TYPED_LOOP(loop, lo_disk);
	bpf_probe_read_kernel(&disk, sizeof(disk),
			      (void *)untyped->worker + bpf_core_type_size(struct kthread_worker) +
				  3 * sizeof(void *) + bpf_core_type_size(struct blk_mq_tag_set));
	return disk;
}

/* Lo_* of the device at `address`, or -1 when no loop device is there any more. */
static __always_inline __s32 loop_state_at(__u64 address)
{
	struct loop_device *loop = (void *)address;
	struct gendisk *disk = loop_disk(loop);

	if (!disk || READ(disk, private_data) != (void *)loop || READ(disk, major) != LOOP_MAJOR)
		return -1;
	return READ_LOOP(loop, lo_state);
}

static __always_inline void loop_read_config(struct loop_device *loop,
					     struct loop_config_state *state)
{
	struct gendisk *disk = loop_disk(loop);
	struct file *backing = READ_LOOP(loop, lo_backing_file);
	struct inode *inode;

	state->diskseq = disk_sequence(disk);
	state->state = READ_LOOP(loop, lo_state);
	state->flags = READ_LOOP(loop, lo_flags);
	state->offset = READ_LOOP(loop, lo_offset);
	state->sizelimit = READ_LOOP(loop, lo_sizelimit);
	state->block_size = READ(disk, queue, limits.logical_block_size);
	state->backing_dev = 0;
	state->backing_inode = 0;
	if (!backing)
		return;
	inode = READ(backing, f_inode);
	state->backing_inode = READ(inode, i_ino);
	state->backing_dev = READ(inode, i_sb, s_dev);
}

#endif
