/*
 * A child that shares memory and descriptors with its parent (CLONE_VM, CLONE_VFORK, CLONE_FILES) and nothing of its user
 * namespace, attaches a file through its parent's descriptors. Usage: vfork-namespace DEVICE IMAGE; prints the
 * child's pid and the result.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int device, image, result;

static int attach(void *unused)
{
	(void)unused;
	result = ioctl(device, LOOP_SET_FD, image) < 0 ? -errno : 0;
	_exit(0);
}

int main(int count, char **words)
{
	static char stack[65536] __attribute__((aligned(16)));
	int child;

	if (count != 3)
		return 2;
	device = open(words[1], O_RDWR);
	image = open(words[2], O_RDWR);
	child = clone(attach, stack + sizeof(stack),
		      CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_NEWUSER | SIGCHLD, NULL);
	if (child < 0) {
		perror("clone");
		return 1;
	}
	printf("[%d,%d]\n", child, result);
	return 0;
}
