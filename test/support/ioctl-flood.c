/*
 * Loop ioctls that change nothing, as fast as they go: some fail, some do not. Usage: ioctl-flood DEVICE COUNT, DEVICE a path
 * or the number of an open descriptor; it is to be one without a file. SIGTERM ends it. Says `flooding`, then as JSON how many
 * there were of each command and result.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define RESULTS 256 /* errnos, and 0 */

static struct loop_info64 status;
static struct loop_config config = {.fd = -1};

static const struct {
	const char *name;
	unsigned long request;
	unsigned long argument;
	int on_control;
} calls[] = {
    {"LOOP_GET_STATUS64", LOOP_GET_STATUS64, (unsigned long)&status, 0},
    {"LOOP_CTL_GET_FREE", LOOP_CTL_GET_FREE, 0, 1},
    {"LOOP_CONFIGURE", LOOP_CONFIGURE, (unsigned long)&config, 0},
    {"LOOP_CLR_FD", LOOP_CLR_FD, 0, 0},
    {"LOOP_SET_FD", LOOP_SET_FD, (unsigned long)-1, 0},
    {"LOOP_CHANGE_FD", LOOP_CHANGE_FD, (unsigned long)-1, 0},
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static unsigned long counts[CALLS][RESULTS];
static volatile sig_atomic_t ended;

static void end(int number)
{
	(void)number;
	ended = 1;
}

static void print_counts(void)
{
	const char *separator = "";

	putchar('{');
	for (size_t call = 0; call < CALLS; call++)
		for (int result = 0; result < RESULTS; result++) {
			if (!counts[call][result])
				continue;
			printf("%s\"%s %s\":%lu", separator, calls[call].name,
			       result ? strerrorname_np(result) : "ok", counts[call][result]);
			separator = ",";
		}
	puts("}");
}

int main(int count, char **words)
{
	int device, control = open("/dev/loop-control", O_RDWR), on, result;
	unsigned long made, limit;

	if (count != 3)
		return 2;
	device = isdigit(*words[1]) ? atoi(words[1]) : open(words[1], O_RDWR);
	if (device < 0) {
		perror(words[1]);
		return 1;
	}
	limit = strtoul(words[2], 0, 0);
	signal(SIGTERM, end);
	puts("flooding");
	fflush(stdout);
	for (made = 0; !ended && made < limit; made++) {
		size_t call = made % CALLS;

		/* Not everybody may open loop-control. */
		on = calls[call].on_control ? control : device;
		if (on < 0)
			continue;
		result = ioctl(on, calls[call].request, calls[call].argument) < 0 ? errno : 0;
		counts[call][result < RESULTS ? result : RESULTS - 1]++;
	}
	print_counts();
	return 0;
}
