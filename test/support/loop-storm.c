/*
 * Attaches, writes to and detaches loop devices by plain ioctls, as fast as the kernel lets it, or with
 * PAUSE_US between two cycles. Usage: loop-storm FIRST COUNT CYCLES IMAGE [PAUSE_US], on the host or as
 * the root of a user namespace.
 * Devices FIRST to FIRST+COUNT-1 are used in turn, and must be nobody else's meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEVICES  1024
#define MAX_NUMBER   ((1 << 20) - 1)
#define SECTOR_BYTES 512
#define RETRY_US     1000
/* Bounds of each wait, in retries: some 20 s, for emulated machines too, and 5 s for the end. */
#define TRIES        20000
#define REMOVE_TRIES 5000

enum command { ADD, CONFIGURE, SET_FD, CLR_FD, REMOVE, COMMANDS };

static const struct {
	const char *name;
	unsigned long request;
} commands[COMMANDS] = {
    [ADD] = {"LOOP_CTL_ADD", LOOP_CTL_ADD},
    [CONFIGURE] = {"LOOP_CONFIGURE", LOOP_CONFIGURE},
    [SET_FD] = {"LOOP_SET_FD", LOOP_SET_FD},
    [CLR_FD] = {"LOOP_CLR_FD", LOOP_CLR_FD},
    [REMOVE] = {"LOOP_CTL_REMOVE", LOOP_CTL_REMOVE},
};

static unsigned long succeeded[COMMANDS], failed[COMMANDS];
static volatile sig_atomic_t stopping;

static void stop(int signal)
{
	(void)signal;
	stopping = 1;
}

/* Says why with errno, and is the result of whoever fails. */
__attribute__((format(printf, 1, 2))) static int complain(const char *format, ...)
{
	int error = errno;
	va_list words;

	va_start(words, format);
	fputs("loop-storm: ", stderr);
	vfprintf(stderr, format, words);
	fprintf(stderr, ": %s\n", strerror(error));
	va_end(words);
	return -1;
}

/* Every ioctl, for the caller's books and for ours: the agent's log can be held against them. */
static int control(int fd, enum command command, unsigned long argument)
{
	int result = ioctl(fd, commands[command].request, argument);

	if (result < 0)
		failed[command]++;
	else
		succeeded[command]++;
	return result;
}

/* ENXIO: being detached by the last close of another opener. ENOENT, ENODEV: not made yet. */
static int open_device(int number)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/loop%d", number);
	for (int i = 0; i < TRIES; i++) {
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (errno != ENXIO && errno != ENOENT && errno != ENODEV && errno != EBUSY &&
		    errno != EINTR)
			break;
		usleep(RETRY_US);
	}
	return complain("open %s", path);
}

/*
 * LOOP_CLR_FD of a device that udevd has open too leaves the detaching to the last close. sysfs says
 * when that is done; asking the device would be one more opener, which could itself be the last.
 */
static int wait_detached(int number)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/loop%d/loop/backing_file", number);
	for (int i = 0; i < TRIES; i++) {
		if (access(path, F_OK))
			return 0;
		usleep(RETRY_US);
	}
	errno = EBUSY;
	return complain("detach loop%d", number);
}

static int attach(int device, int image)
{
	/* Linux 5.8 and newer have LOOP_CONFIGURE; older ones are asked once. */
	static bool has_no_configure;
	struct loop_config config = {.fd = image};
	int result;

	if (!has_no_configure) {
		result = control(device, CONFIGURE, (unsigned long)&config);
		if (result >= 0 || (errno != EINVAL && errno != ENOTTY))
			return result;
		has_no_configure = true;
	}
	return control(device, SET_FD, image);
}

/* The attached device, open. Closed for each retry: whoever holds it open keeps it from being detached. */
static int open_attached(int number, int image)
{
	int device, error;

	for (int i = 0; i < TRIES; i++) {
		device = open_device(number);
		if (device < 0)
			return -1;
		if (attach(device, image) >= 0)
			return device;
		error = errno;
		close(device);
		errno = error;
		if (errno != EBUSY && errno != ENXIO && errno != EINTR)
			break;
		usleep(RETRY_US);
	}
	return complain("attach loop%d", number);
}

static int detach(int device, int number)
{
	for (int i = 0; i < TRIES; i++) {
		/* ENXIO: it is detached, or about to be. */
		if (control(device, CLR_FD, 0) >= 0 || errno == ENXIO)
			return 0;
		if (errno != EBUSY && errno != EINTR)
			break;
		usleep(RETRY_US);
	}
	return complain("detach loop%d", number);
}

static int cycle(int number, int image)
{
	static const char sector[SECTOR_BYTES] = "loop-storm";
	int device, result = 0;

	/* Before the next use, not after the last: meanwhile the other devices are used. */
	if (wait_detached(number))
		return -1;
	device = open_attached(number, image);
	if (device < 0)
		return -1;
	/* The close of a writer is what udevd's inotify watch fires on. */
	if (pwrite(device, sector, sizeof(sector), 0) != sizeof(sector))
		result = complain("write to loop%d", number);
	/* Detached even so, or nothing could remove it. */
	if (detach(device, number))
		result = -1;
	close(device);
	return result;
}

static int remove_device(int loop_control, int number)
{
	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (control(loop_control, REMOVE, number) >= 0)
			return 0;
		if (errno != EBUSY && errno != EINTR)
			break;
		usleep(RETRY_US);
	}
	return complain("remove loop%d", number);
}

static int add_devices(int loop_control, int first, int count, bool *added)
{
	int device;

	for (int i = 0; i < count; i++) {
		if (control(loop_control, ADD, first + i) >= 0)
			added[i] = true;
		else if (errno != EEXIST)
			return complain("add loop%d", first + i);
	}
	for (int i = 0; i < count; i++) {
		device = open_device(first + i);
		if (device < 0)
			return -1;
		close(device);
	}
	return 0;
}

static void print_counts(const char *name, const unsigned long *counts)
{
	printf(",\"%s\":{", name);
	for (int i = 0; i < COMMANDS; i++)
		printf("%s\"%s\":%lu", i ? "," : "", commands[i].name, counts[i]);
	putchar('}');
}

static long number_from(const char *word, long least, long most)
{
	char *end;
	long number = strtol(word, &end, 10);

	if (*word && !*end && number >= least && number <= most)
		return number;
	fprintf(stderr, "loop-storm: %s is not a number from %ld to %ld\n", word, least, most);
	exit(2);
}

int main(int words_count, char **words)
{
	struct sigaction action = {.sa_handler = stop};
	static bool added[MAX_DEVICES];
	long first, count, cycles, pause_us, done = 0;
	int image, loop_control;
	struct stat status;
	bool failure;

	if (words_count != 5 && words_count != 6) {
		fprintf(stderr, "usage: loop-storm FIRST COUNT CYCLES IMAGE [PAUSE_US]\n");
		return 2;
	}
	first = number_from(words[1], 0, MAX_NUMBER - MAX_DEVICES);
	count = number_from(words[2], 1, MAX_DEVICES);
	cycles = number_from(words[3], 0, 1000000000);
	pause_us = words_count > 5 ? number_from(words[5], 0, 999999) : 0;
	image = open(words[4], O_RDWR | O_CLOEXEC);
	if (image < 0 || fstat(image, &status))
		return complain("open %s", words[4]), 1;
	if (status.st_size < SECTOR_BYTES) {
		fprintf(stderr, "loop-storm: %s is smaller than a sector\n", words[4]);
		return 1;
	}
	loop_control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (loop_control < 0)
		return complain("open /dev/loop-control"), 1;
	/* Whoever ends it early still gets their devices removed. */
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);

	failure = add_devices(loop_control, first, count, added);
	while (!failure && !stopping && done < cycles) {
		failure = cycle(first + done % count, image);
		if (!failure)
			done++;
		if (pause_us)
			usleep(pause_us);
	}
	for (int i = 0; i < count; i++) {
		if (wait_detached(first + i))
			failure = true;
		if (added[i] && remove_device(loop_control, first + i))
			failure = true;
	}
	printf("{\"cycles\":%ld", done);
	print_counts("ioctls", succeeded);
	print_counts("failed", failed);
	puts("}");
	return failure || done < cycles;
}
