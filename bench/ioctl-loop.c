/* Nanoseconds of one ioctl(LOOP_GET_STATUS64) on an unattached loop device: ENXIO. Usage: ioctl-loop DEVICE COUNT */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int count, char **words)
{
	struct loop_info64 status;
	int fd = count == 3 ? open(words[1], O_RDONLY) : -1, turns = count == 3 ? atoi(words[2]) : 0;
	long long start = now_ns();

	if (fd < 0)
		return 2;
	for (int turn = 0; turn < turns; turn++)
		if (ioctl(fd, LOOP_GET_STATUS64, &status) != -1 || errno != ENXIO)
			return 1;
	printf("%.1f\n", (double)(now_ns() - start) / turns);
	return 0;
}
