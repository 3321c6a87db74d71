/*
 * Uevents made up by the million, through the filter that is on receivers' sockets, against what lib/kobject_uevent.c and
 * drivers/block/loop.c say a uevent is. Nothing of the BPF program's parser is used here.
 *
 * Usage: uevent-fuzz DELIVERY EMISSION OWNERS ENTRY PART_SHIFT SEED COUNT NUMBER...
 * DELIVERY, EMISSION, OWNERS: pins of the two socket filters and of the owner map; ENTRY: the value of a device that a
 * container owns, in hex; NUMBER: of such devices. Prints as JSON what there was, and the first texts with a wrong verdict.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TEXT_MAX     2048 /* UEVENT_BUFFER_SIZE */
#define ETH_HEADER   14 /* which a test run takes off */
#define NUMBERS_MAX  8
#define MINORS       (1UL << 20)
#define WRONG_MAX    10
#define DISK_PREFIX  "/devices/virtual/block/loop"
#define BDI_PREFIX   "/devices/virtual/bdi/7:"

/* What no kernel sends may be judged either way: it is nobody's event. */
enum expectation { DELIVER, HIDE, EITHER };

struct text {
	char bytes[ETH_HEADER + TEXT_MAX + 256];
	unsigned length; /* without the header */
	bool intact;	 /* as the kernel would write it */
	bool synthetic;
	bool is_of_bdi; /* its SUBSYSTEM */
};

static unsigned long numbers[NUMBERS_MAX];
static int numbers_count, part_shift, delivery, emission, owners;
static uint64_t state;
static uint8_t entry[512];
static unsigned entry_length;

static const char *const actions[] = {"add",  "remove", "change",  "move",
				      "bind", "unbind", "offline", "online"};

static uint64_t random_word(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static unsigned below(unsigned limit)
{
	return random_word() % limit;
}

static long bpf(int command, union bpf_attr *attributes)
{
	return syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static int open_pin(const char *path)
{
	union bpf_attr attributes = {.pathname = (uintptr_t)path};
	int fd = bpf(BPF_OBJ_GET, &attributes);

	if (fd < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

static unsigned run(int program, struct text *text)
{
	union bpf_attr attributes = {0};

	attributes.test.prog_fd = program;
	attributes.test.data_in = (uintptr_t)text->bytes;
	attributes.test.data_size_in = ETH_HEADER + text->length;
	if (bpf(BPF_PROG_TEST_RUN, &attributes)) {
		perror("BPF_PROG_TEST_RUN");
		exit(1);
	}
	return attributes.test.retval;
}

/* An `add` of the kernel's begins a new device: after it they are to be the container's again. */
static void own_devices(void)
{
	for (int i = 0; i < numbers_count; i++) {
		uint32_t devno = 7U << 20 | numbers[i] << part_shift;
		union bpf_attr attributes = {
		    .map_fd = owners, .key = (uintptr_t)&devno, .value = (uintptr_t)entry};

		if (bpf(BPF_MAP_UPDATE_ELEM, &attributes)) {
			perror("owners");
			exit(1);
		}
	}
}

/* The kernel writes numbers by %d: without zeros in front. `end`: of the digits. */
static bool read_number(const char *digits, const char **end, unsigned long *number, bool *canonical)
{
	unsigned long value = 0;
	const char *at = digits;

	for (; *at >= '0' && *at <= '9'; at++)
		value = value >= 1UL << 32 ? value : value * 10 + (*at - '0');
	*end = at;
	*number = value;
	*canonical = at > digits && (*digits != '0' || at == digits + 1);
	return at > digits;
}

static bool is_owned_number(unsigned long number)
{
	for (int i = 0; i < numbers_count; i++)
		if (numbers[i] == number)
			return true;
	return false;
}

/* `whole`: it is about the disk itself. */
static enum expectation expect_of_path(const char *path, bool *whole)
{
	unsigned long number;
	const char *end;
	bool canonical;

	*whole = false;
	if (!strncmp(path, DISK_PREFIX, sizeof(DISK_PREFIX) - 1)) {
		if (!read_number(path + sizeof(DISK_PREFIX) - 1, &end, &number, &canonical) ||
		    (*end && *end != '/'))
			return DELIVER;
		*whole = !*end;
		/* No disk has it: its minor would not fit. */
		if (number >= MINORS >> part_shift && number < MINORS)
			return EITHER;
		if (!is_owned_number(number))
			return DELIVER;
		return canonical ? HIDE : EITHER;
	}
	if (!strncmp(path, BDI_PREFIX, sizeof(BDI_PREFIX) - 1)) {
		if (!read_number(path + sizeof(BDI_PREFIX) - 1, &end, &number, &canonical) || *end)
			return DELIVER;
		if (number & ((1UL << part_shift) - 1) || !is_owned_number(number >> part_shift))
			return DELIVER;
		return canonical ? HIDE : EITHER;
	}
	return DELIVER;
}

static bool is_kernels_action(const char *action, size_t length)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strlen(actions[i]) == length && !memcmp(actions[i], action, length))
			return true;
	return false;
}

/* A message is ACTION@DEVPATH and a NUL, then the strings that receivers read: kobject_uevent_net_broadcast. */
static enum expectation expect(struct text *text)
{
	const char *first = text->bytes + ETH_HEADER, *at;
	enum expectation expected;
	bool whole;

	/* Beyond the text are zeros. */
	memset(text->bytes + ETH_HEADER + text->length, 0, 256);
	at = strchr(first, '@');
	if (!at)
		return DELIVER;
	if (at == first) {
		/* No action: no kernel's. Read from its second @ it may look like one. */
		at = strchr(first + 1, '@');
		return at && at[1] == '/' ? EITHER : DELIVER;
	}
	if (at[1] != '/')
		return DELIVER;
	expected = expect_of_path(at + 1, &whole);
	if (expected == DELIVER)
		return DELIVER;
	if (!is_kernels_action(first, at - first))
		return EITHER;
	if (!strncmp(first, "add@", 4)) {
		if (!text->intact)
			return EITHER;
		/* The host's root made it just now. */
		if (!text->synthetic && (whole || text->is_of_bdi))
			return expected == HIDE ? DELIVER : EITHER;
	}
	return expected;
}

static void append(struct text *text, const char *string)
{
	size_t length = strlen(string) + 1;

	if (text->length + length > TEXT_MAX)
		return;
	memcpy(text->bytes + ETH_HEADER + text->length, string, length);
	text->length += length;
}

/* Among them all that is nearly a container's. */
static void make_path(char *path, size_t size)
{
	static const char *const hosts[] = {
	    "/devices/virtual/net/lo", "/module/loop", "/devices/virtual/misc/loop-control",
	    "/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1",
	    "/devices/virtual/block/dm-0", "/kernel/slab/kmalloc-64", "/devices/virtual/bdi/8:0", "/"};
	unsigned long number = numbers[below(numbers_count)], minor = number << part_shift;

	switch (below(16)) {
	case 0:
	case 1:
		snprintf(path, size, DISK_PREFIX "%lu", number);
		break;
	case 2:
		snprintf(path, size, DISK_PREFIX "%lu/loop%lup%u", number, number, below(200));
		break;
	case 3:
		snprintf(path, size, DISK_PREFIX "%lu/mq/%u", number, below(9));
		break;
	case 4:
		snprintf(path, size, BDI_PREFIX "%lu", minor);
		break;
	case 5:
		snprintf(path, size, DISK_PREFIX "%lu%u", number, below(10));
		break;
	case 6:
		snprintf(path, size, DISK_PREFIX "%lu", number + 1 - 2 * below(2));
		break;
	case 7:
		snprintf(path, size, DISK_PREFIX "%0*lu", below(22), number);
		break;
	case 8:
		snprintf(path, size, DISK_PREFIX "%lu", number + (1UL << (16 + below(32))));
		break;
	case 9:
		snprintf(path, size, DISK_PREFIX "%lu%c", number, 1 + below(255));
		break;
	case 10:
		snprintf(path, size, BDI_PREFIX "%lu%s", minor + below(3), below(2) ? "/x" : "");
		break;
	case 11:
		snprintf(path, size, "/devices/pci0000:00" DISK_PREFIX "%lu", number);
		break;
	case 12:
		snprintf(path, size, DISK_PREFIX "%lu/%0*d", number, below(400), 1);
		break;
	case 13:
		snprintf(path, size, DISK_PREFIX "%lu", (unsigned long)below(MINORS * 2));
		break;
	default:
		snprintf(path, size, "%s", hosts[below(sizeof(hosts) / sizeof(hosts[0]))]);
	}
}

static void make_fields(struct text *text)
{
	char field[256];

	if (text->synthetic)
		append(text, "SYNTH_UUID=0");
	for (unsigned left = below(20); left; left--) {
		switch (below(5)) {
		case 0:
			snprintf(field, sizeof(field), "DISKSEQ=%llu",
				 (unsigned long long)(random_word() >> below(64)));
			break;
		case 1:
			snprintf(field, sizeof(field), "MAJOR=%u", below(512));
			break;
		case 2:
			snprintf(field, sizeof(field), "X%0*u=%0*u", below(70), 1, below(70), 2);
			break;
		case 3:
			snprintf(field, sizeof(field), "DEVNAME=loop%lu", numbers[0]);
			break;
		default:
			snprintf(field, sizeof(field), "DEVPATH=" DISK_PREFIX "%lu", numbers[0]);
		}
		append(text, field);
	}
	snprintf(field, sizeof(field), "SEQNUM=%llu", (unsigned long long)random_word());
	append(text, field);
}

static void make_text(struct text *text)
{
	char path[512], line[600];
	const char *action = actions[below(sizeof(actions) / sizeof(actions[0]))];

	text->length = 0;
	text->intact = true;
	text->synthetic = below(4) == 0;
	text->is_of_bdi = false;
	make_path(path, sizeof(path));
	if (strlen(path) >= 190)
		/* Too long to read on after it: the program takes it for the kernel's own then. */
		text->intact = false;
	snprintf(line, sizeof(line), "%s@%s", action, path);
	append(text, line);
	snprintf(line, sizeof(line), "ACTION=%s", action);
	append(text, line);
	snprintf(line, sizeof(line), "DEVPATH=%s", path);
	append(text, line);
	text->is_of_bdi = !strncmp(path, BDI_PREFIX, sizeof(BDI_PREFIX) - 1);
	append(text, text->is_of_bdi ? "SUBSYSTEM=bdi" : "SUBSYSTEM=block");
	make_fields(text);
}

static void mutate(struct text *text)
{
	char *bytes = text->bytes + ETH_HEADER, splice[64];
	unsigned at, length;

	text->intact = false;
	for (unsigned left = 1 + below(8); left && text->length > 2; left--) {
		/* Mostly where the verdict is made. */
		at = below(below(2) || text->length < 60 ? text->length : 60);
		switch (below(6)) {
		case 0:
			bytes[at] ^= 1 << below(8);
			break;
		case 1:
			bytes[at] = below(256);
			break;
		case 2:
			memmove(bytes + at, bytes + at + 1, text->length - at - 1);
			text->length--;
			break;
		case 3:
			if (text->length >= TEXT_MAX)
				break;
			memmove(bytes + at + 1, bytes + at, text->length - at);
			bytes[at] = "@/\0=0 9\xff"[below(8)];
			text->length++;
			break;
		case 4:
			length = snprintf(splice, sizeof(splice), "%s" DISK_PREFIX "%lu",
					  below(2) ? "@" : "", numbers[below(numbers_count)]);
			if (at + length < text->length)
				memcpy(bytes + at, splice, length + below(2));
			break;
		case 5:
			text->length = 1 + at;
		}
	}
}

static void print_wrong(const struct text *text, enum expectation expected, bool first)
{
	printf("%s{\"expected\":\"%s\",\"text\":\"", first ? "" : ",",
	       expected == HIDE ? "hide" : "deliver");
	for (unsigned i = 0; i < text->length; i++)
		printf("%02x", (uint8_t)text->bytes[ETH_HEADER + i]);
	printf("\"}");
}

int main(int count, char **words)
{
	unsigned long runs, hidden = 0, either = 0, must_hide = 0, wrong = 0, queued = 0;
	static struct text text;
	enum expectation expected;
	bool hides;

	if (count < 9 || count - 8 > NUMBERS_MAX)
		return 2;
	delivery = open_pin(words[1]);
	emission = open_pin(words[2]);
	owners = open_pin(words[3]);
	for (const char *at = words[4]; sscanf(at, "%2hhx", &entry[entry_length]) == 1; at += 2)
		entry_length++;
	part_shift = atoi(words[5]);
	state = strtoull(words[6], 0, 0) | 1;
	runs = strtoul(words[7], 0, 0);
	for (int i = 8; i < count; i++)
		numbers[numbers_count++] = strtoul(words[i], 0, 0);
	own_devices();

	printf("{\"wrong\":[");
	for (unsigned long i = 0; i < runs; i++) {
		make_text(&text);
		if (below(2))
			mutate(&text);
		expected = expect(&text);
		hides = run(delivery, &text) == 0;
		hidden += hides;
		must_hide += expected == HIDE;
		either += expected == EITHER;
		if (expected != EITHER && hides != (expected == HIDE) && wrong++ < WRONG_MAX)
			print_wrong(&text, expected, wrong == 1);
		/* The agent's own listener counts, and never queues. */
		if (i % 16 == 0 && run(emission, &text))
			queued++;
		if (!strncmp(text.bytes + ETH_HEADER, "add@", 4))
			own_devices();
	}
	printf("],\"runs\":%lu,\"hidden\":%lu,\"mustHide\":%lu,\"either\":%lu,\"wrongs\":%lu,\"queued\":%lu}\n",
	       runs, hidden, must_hide, either, wrong, queued);
	return 0;
}
