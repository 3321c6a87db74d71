/*
 * Opens one uevent socket after the other, as short-lived receivers of the host do, and prints what
 * each has heard about loop devices. Usage: receiver-storm INTERVAL_MS LIFETIME_MS [GRACE_MS], until
 * SIGTERM. Receiver 0, the witness, is open all the time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define KERNEL_GROUP  1
#define MAX_RECEIVERS 4096
/* The witness and a few more: the kernel copies every uevent once for each. */
#define MAX_OPEN   17
#define MAX_EVENTS 200000
/* Of all receivers together: 128 MiB. */
#define MAX_ALL      (8 << 20)
#define BUFFER_BYTES (16 << 20)
/* lib/kobject_uevent.c: 2048 bytes of environment behind ACTION@DEVPATH. */
#define MESSAGE_BYTES 8192
#define GRACE_MS      20

static const char *const actions[] = {"add",    "remove",  "change", "move",
				      "online", "offline", "bind",   "unbind"};
#define ACTIONS ((int)(sizeof(actions) / sizeof(actions[0])))

struct event {
	uint64_t seqnum;
	uint32_t number;
	uint16_t action;
	uint16_t synthetic;
};

struct receiver {
	uint64_t first, last;
	struct event *events;
	size_t count, room;
	/* Lost something: the kernel's buffer was full, or one of the bounds above was reached. */
	bool overrun;
};

struct open_socket {
	int fd;
	int receiver;
	/* `last` is read at `closing_ms`, and the socket closed at `closed_ms` (0: not yet known). */
	int64_t closing_ms, closed_ms;
};

static struct receiver receivers[MAX_RECEIVERS];
static int receiver_count;
static struct open_socket sockets[MAX_OPEN];
static int socket_count;
static size_t all_events;
static int seqnum_file;
static int part_shift;
static volatile sig_atomic_t stopping;

static void stop(int signal)
{
	(void)signal;
	stopping = 1;
}

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "receiver-storm: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static uint64_t read_seqnum(void)
{
	char text[32];
	ssize_t length = pread(seqnum_file, text, sizeof(text) - 1, 0);

	if (length <= 0)
		die("/sys/kernel/uevent_seqnum");
	text[length] = 0;
	return strtoull(text, NULL, 10);
}

/* A bdi is named by its disk's minor, which is the number shifted if loop.max_part is set. */
static int read_part_shift(void)
{
	FILE *file = fopen("/sys/module/loop/parameters/max_part", "re");
	int max_part = 0, shift = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%d", &max_part) != 1)
		max_part = 0;
	fclose(file);
	for (; max_part > 0; max_part >>= 1)
		shift++;
	return shift;
}

/* The number of the loop disk that the path is about (itself, a partition, its bdi), or -1. */
static long loop_number(const char *path)
{
	static const char disk[] = "/block/loop", bdi[] = "/bdi/7:";
	const char *found = strstr(path, disk);
	int shift = 0;

	if (found) {
		found += sizeof(disk) - 1;
	} else {
		found = strstr(path, bdi);
		if (!found)
			return -1;
		found += sizeof(bdi) - 1;
		shift = part_shift;
	}
	return *found >= '0' && *found <= '9' ? strtol(found, NULL, 10) >> shift : -1;
}

static int action_index(const char *name)
{
	for (int i = 0; i < ACTIONS; i++)
		if (!strcmp(name, actions[i]))
			return i;
	errno = EPROTO;
	die(name);
}

static void record(struct receiver *receiver, const struct event *event)
{
	size_t room = receiver->room ? 2 * receiver->room : 64;
	struct event *events;

	if (receiver->count == MAX_EVENTS || all_events == MAX_ALL) {
		receiver->overrun = true;
		return;
	}
	if (receiver->count == receiver->room) {
		events = realloc(receiver->events, room * sizeof(*events));
		if (!events)
			die("memory");
		receiver->events = events;
		receiver->room = room;
	}
	receiver->events[receiver->count++] = *event;
	all_events++;
}

/* KEY=VALUE strings, each with its end, behind ACTION@DEVPATH; the message ends with a 0. */
static void parse(struct receiver *receiver, const char *message, size_t length)
{
	const char *action = NULL, *path = NULL, *end = message + length;
	struct event event = {};
	long number;

	for (const char *word = message; word < end; word += strlen(word) + 1) {
		if (!strncmp(word, "ACTION=", 7))
			action = word + 7;
		else if (!strncmp(word, "DEVPATH=", 8))
			path = word + 8;
		else if (!strncmp(word, "SEQNUM=", 7))
			event.seqnum = strtoull(word + 7, NULL, 10);
		else if (!strncmp(word, "SYNTH_UUID=", 11))
			event.synthetic = 1;
	}
	if (!action || !path || !event.seqnum)
		return;
	number = loop_number(path);
	if (number < 0)
		return;
	event.number = number;
	event.action = action_index(action);
	record(receiver, &event);
}

static void drain(const struct open_socket *open)
{
	struct receiver *receiver = &receivers[open->receiver];
	struct sockaddr_nl from;
	char message[MESSAGE_BYTES + 1];
	socklen_t from_length;
	ssize_t length;

	for (;;) {
		from_length = sizeof(from);
		length = recvfrom(open->fd, message, MESSAGE_BYTES, 0, (struct sockaddr *)&from,
				  &from_length);
		if (length < 0 && errno == EAGAIN)
			return;
		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0 && errno == ENOBUFS) {
			receiver->overrun = true;
			continue;
		}
		if (length < 0)
			die("recv");
		/* Anyone privileged can send to the group; only the kernel has port 0. */
		if (from.nl_pid)
			continue;
		message[length] = 0;
		parse(receiver, message, length);
	}
}

static void open_receiver(int64_t closing_ms)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
	int fd =
	    socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	int bytes = BUFFER_BYTES;

	if (fd < 0)
		die("socket");
	/* Forced: beyond net.core.rmem_max, which only the host's root may. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)))
		die("SO_RCVBUF");
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die("bind");
	/* After bind: whatever has a later number is broadcast while this socket is in the group. */
	receivers[receiver_count].first = read_seqnum();
	sockets[socket_count++] = (struct open_socket){
	    .fd = fd,
	    .receiver = receiver_count++,
	    .closing_ms = closing_ms,
	};
}

/*
 * The kernel counts up before it broadcasts, so what has a number up to `last` may still be on its way:
 * it has the grace to arrive.
 */
static void begin_closing(struct open_socket *open, int grace_ms)
{
	receivers[open->receiver].last = read_seqnum();
	open->closed_ms = now_ms() + grace_ms;
}

/* Receives from all sockets until `until_ms`, or until SIGTERM if that can come here. */
static void receive(int64_t until_ms, const sigset_t *mask)
{
	struct pollfd polls[MAX_OPEN];
	struct timespec timeout;
	int64_t left_ms = until_ms - now_ms();

	if (left_ms < 0)
		left_ms = 0;
	timeout.tv_sec = left_ms / 1000;
	timeout.tv_nsec = left_ms % 1000 * 1000000;
	for (int i = 0; i < socket_count; i++)
		polls[i] = (struct pollfd){.fd = sockets[i].fd, .events = POLLIN};
	if (ppoll(polls, socket_count, &timeout, mask) < 0) {
		if (errno != EINTR)
			die("poll");
		return;
	}
	for (int i = 0; i < socket_count; i++)
		if (polls[i].revents)
			drain(&sockets[i]);
}

/* Closes what is due; returns when the next step of any is. The witness is due at the end only. */
static int64_t close_due(int grace_ms)
{
	int64_t next_ms = INT64_MAX, due_ms;
	struct open_socket *open;

	for (int i = socket_count - 1; i >= 0; i--) {
		open = &sockets[i];
		if (!open->closed_ms && now_ms() >= open->closing_ms)
			begin_closing(open, grace_ms);
		if (open->closed_ms && now_ms() >= open->closed_ms) {
			drain(open);
			close(open->fd);
			*open = sockets[--socket_count];
			continue;
		}
		due_ms = open->closed_ms ? open->closed_ms : open->closing_ms;
		if (due_ms < next_ms)
			next_ms = due_ms;
	}
	return next_ms;
}

/* Closes all but the first `kept`. */
static void close_down_to(int kept, int grace_ms, const sigset_t *mask)
{
	int64_t next_ms;

	for (int i = kept; i < socket_count; i++)
		sockets[i].closing_ms = 0;
	while (next_ms = close_due(grace_ms), socket_count > kept)
		receive(next_ms, mask);
}

static void print_receivers(void)
{
	const struct receiver *receiver;
	const struct event *event;

	fputs("{\"receivers\":[", stdout);
	for (int i = 0; i < receiver_count; i++) {
		receiver = &receivers[i];
		printf("%s{\"first\":%llu,\"last\":%llu,\"overrun\":%s,\"events\":[", i ? "," : "",
		       (unsigned long long)receiver->first, (unsigned long long)receiver->last,
		       receiver->overrun ? "true" : "false");
		for (size_t j = 0; j < receiver->count; j++) {
			event = &receiver->events[j];
			printf("%s[%llu,\"%s\",%u,%u]", j ? "," : "",
			       (unsigned long long)event->seqnum, actions[event->action],
			       event->number, event->synthetic);
		}
		fputs("]}", stdout);
	}
	puts("]}");
	if (fflush(stdout))
		die("stdout");
}

static int ms_from(const char *word)
{
	char *end;
	long ms = strtol(word, &end, 10);

	if (*word && !*end && ms >= 1 && ms <= 86400000)
		return ms;
	fprintf(stderr, "receiver-storm: %s is not a number of milliseconds\n", word);
	exit(2);
}

int main(int words_count, char **words)
{
	struct sigaction action = {.sa_handler = stop};
	int interval_ms, lifetime_ms, grace_ms;
	int64_t open_ms, next_ms;
	sigset_t blocked, before;

	if (words_count != 3 && words_count != 4) {
		fprintf(stderr, "usage: receiver-storm INTERVAL_MS LIFETIME_MS [GRACE_MS]\n");
		return 2;
	}
	interval_ms = ms_from(words[1]);
	lifetime_ms = ms_from(words[2]);
	grace_ms = words_count == 4 ? ms_from(words[3]) : GRACE_MS;
	seqnum_file = open("/sys/kernel/uevent_seqnum", O_RDONLY | O_CLOEXEC);
	if (seqnum_file < 0)
		die("/sys/kernel/uevent_seqnum");
	part_shift = read_part_shift();
	/* Only ppoll lets it in: it cannot come between the look at `stopping` and the wait. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	sigdelset(&before, SIGTERM);
	sigaction(SIGTERM, &action, NULL);

	open_receiver(INT64_MAX);
	puts("ready");
	fflush(stdout);
	open_ms = now_ms();
	while (!stopping) {
		if (now_ms() >= open_ms) {
			/* Past the bounds a beat is left out; the witness goes on. */
			if (socket_count < MAX_OPEN && receiver_count < MAX_RECEIVERS)
				open_receiver(now_ms() + lifetime_ms);
			/* After a delay no burst of sockets that all begin alike. */
			open_ms += interval_ms;
			if (open_ms < now_ms())
				open_ms = now_ms() + interval_ms;
		}
		next_ms = close_due(grace_ms);
		receive(next_ms < open_ms ? next_ms : open_ms, &before);
	}
	/* The witness last, so that it has heard everything that another could. */
	close_down_to(1, grace_ms, &blocked);
	close_down_to(0, grace_ms, &blocked);
	print_receivers();
	return 0;
}
