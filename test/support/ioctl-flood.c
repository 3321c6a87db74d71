/* Loop ioctls that fail, as fast as they go. Usage: ioctl-flood DEVICE COUNT; SIGTERM ends it. Prints how many. */
#include <fcntl.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

static volatile sig_atomic_t ended;

static void end(int number)
{
	(void)number;
	ended = 1;
}

int main(int count, char **words)
{
	struct loop_info64 status;
	unsigned long calls = 0, limit;
	int device;

	if (count != 3 || (device = open(words[1], O_RDWR)) < 0)
		return 2;
	limit = strtoul(words[2], 0, 0);
	signal(SIGTERM, end);
	puts("flooding");
	fflush(stdout);
	for (; !ended && calls < limit; calls++)
		ioctl(device, LOOP_GET_STATUS64, &status);
	printf("%lu\n", calls);
	return 0;
}
