/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loopwarden-rescan DEVICE: has the partition table of a container's loop device read anew, without
 * the privilege that BLKRRPART asks for. Static, so that it runs in a container with nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define CONTROL "/dev/loopfs/loop-control"
/* docs/loopfs.md */
#define LOOPFS_RESCAN _IO('L', 0xC0)

static const char *reason_of(int error)
{
	switch (error) {
	case EBUSY:
		return "the disk or one of its partitions is in use";
	case EINVAL:
		return "its partitions are not scanned (losetup -P)";
	case EACCES:
		return "it is not a device of this container";
	case ENODEV:
		return "there is no such device";
	default:
		return strerror(error);
	}
}

/* The number in `/dev/loop7` or `loop7`; -1 if it is nothing of the kind. */
static long number_of(const char *device)
{
	const char *slash = strrchr(device, '/');
	const char *name = slash ? slash + 1 : device;
	char *end;
	long number;

	if (strncmp(name, "loop", 4) || name[4] < '0' || name[4] > '9')
		return -1;
	errno = 0;
	number = strtol(name + 4, &end, 10);
	return *end || errno || number >= 1 << 20 ? -1 : number;
}

int main(int count, char **words)
{
	long number = count == 2 ? number_of(words[1]) : -1;
	int control;

	if (number < 0) {
		fprintf(stderr, "usage: loopwarden-rescan DEVICE: a whole loop device, as /dev/loop4096\n");
		return 2;
	}
	control = open(CONTROL, O_RDWR | O_CLOEXEC);
	if (control < 0) {
		fprintf(stderr, "loopwarden-rescan: %s: %s\n", CONTROL, strerror(errno));
		return 1;
	}
	if (ioctl(control, LOOPFS_RESCAN, number) < 0) {
		fprintf(stderr, "loopwarden-rescan: %s: %s\n", words[1], reason_of(errno));
		return 1;
	}
	return 0;
}
