// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which disk is put on which: bd_prepare_to_claim(bdev, holder) in block/bdev.c, and
 * bd_link_disk_holder(bdev, disk), bd_unlink_disk_holder(bdev, disk) in block/holder.c
 * (fs/block_dev.c before 5.14), all three exported to device-mapper, md, bcache and drbd, and called
 * in the context of the task that makes, loads or takes apart the device: before the uevents that
 * follow from it. They are called for nothing that is frequent: an exclusive open, a table.
 *
 * Each has two programs, since the kernel leaves one out that is active on the processor
 * (bpf/gates.bpf.c); what one has noted the other notes again, and nothing of it is counted twice.
 */
#include "stack.bpf.h"
#include "twice.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

TWICE("fentry/bd_prepare_to_claim", bd_prepare_to_claim, fentry, false,
      device_claimed(bdev, holder), struct block_device *bdev, void *holder)
TWICE("fexit/bd_link_disk_holder", bd_link_disk_holder, fexit, false,
      if (result == 0) device_linked(bdev, disk), struct block_device *bdev, struct gendisk *disk,
      int result)
TWICE("fexit/bd_unlink_disk_holder", bd_unlink_disk_holder, fexit, false,
      device_unlinked(bdev, disk), struct block_device *bdev, struct gendisk *disk)

SEC("?kprobe/bd_prepare_to_claim")
int BPF_KPROBE(bd_prepare_to_claim_kprobe, struct block_device *bdev, void *holder)
{
	device_claimed(bdev, holder);
	return 0;
}

/* At its entry, the arguments are gone at its return: a link that fails is taken for one until the device ends. */
SEC("?kprobe/bd_link_disk_holder")
int BPF_KPROBE(bd_link_disk_holder_kprobe, struct block_device *bdev, struct gendisk *disk)
{
	device_linked(bdev, disk);
	return 0;
}

SEC("?kprobe/bd_unlink_disk_holder")
int BPF_KPROBE(bd_unlink_disk_holder_kprobe, struct block_device *bdev, struct gendisk *disk)
{
	device_unlinked(bdev, disk);
	return 0;
}
