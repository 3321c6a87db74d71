/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads the text of a kernel uevent (lib/kobject_uevent.c): "ACTION@DEVPATH\0", then "KEY=VALUE\0"
 * strings, always ACTION, DEVPATH, SUBSYSTEM first, then what the writer of a synthetic event
 * added, then the driver's own. Before it is sent it is in a buffer, without the first string.
 */
#ifndef LOOPWARDEN_UEVENT_TEXT_BPF_H
#define LOOPWARDEN_UEVENT_TEXT_BPF_H

#include "maps.bpf.h"

#define ACTION_LENGTH_MAX 8
/*
 * Of a longer one only what is before DEVPATH's end is looked at: no virtual disk's is. The stack of all programs in a
 * chain of calls is 512 bytes, and this is the longest part of the longest one.
 */
#define DEVPATH_LENGTH_MAX   160
#define UEVENT_STRING_LENGTH 64
#define UEVENT_STRINGS_MAX   16
#define WHOLE_DISK           (1ULL << 35)
#define OTHER_DRIVER         (1ULL << 34)
#define MAJOR_DIGITS_MAX     4
#define MAJOR_MAX            4095
#define BLOCK_FOLDER         "/devices/virtual/block/"
#define BDI_FOLDER           "/devices/virtual/bdi/"
#define CHARACTERS_IN_WORD   8
#define NOT_A_NUMBER         (~0ULL)

enum uevent_form {
	UEVENT_FORM_MESSAGE = 0, /* as receivers get it */
	UEVENT_FORM_BUFFER = 1,  /* struct kobj_uevent_env.buf */
};

struct uevent_name {
	__u32 action_length;
	__u32 path_length; /* without the NUL; 0 when it was too long to read */
	__u32 action;      /* enum uevent_action */
	__u32 devno; /* of the disk it is about, or 0: of another driver's, and nobody knows it */
	bool whole_disk;
	bool other_driver; /* about a virtual disk that is no loop disk, or any other's bdi */
};

struct uevent_fields {
	__u64 diskseq;
	__u32 subsystem;
	__u32 synthetic;
};

/*
 * Unrolled over the literal and without a branch in it: there is no memcmp in BPF, and a branch for
 * each character would double the verifier's work each time. The barrier holds clang 19 to that: it
 * would load all characters first, spill them, and need more than the 512 bytes of stack.
 */
#define STARTS_WITH(text, literal)                                                                 \
	({                                                                                         \
		__u32 difference = 0;                                                              \
		_Pragma("unroll") for (int at = 0; at < (int)sizeof(literal) - 1; at++)            \
		{                                                                                  \
			difference |= (__u8)((text)[at] ^ (literal)[at]);                          \
			barrier_var(difference);                                                   \
		}                                                                                  \
		difference == 0;                                                                   \
	})

static __always_inline __u32 uevent_action_of(const char *text, __u32 length)
{
	if (length == 3 && STARTS_WITH(text, "add"))
		return UEVENT_ACTION_ADD;
	if (length == 4 && STARTS_WITH(text, "move"))
		return UEVENT_ACTION_MOVE;
	if (length == 4 && STARTS_WITH(text, "bind"))
		return UEVENT_ACTION_BIND;
	if (length == 6 && STARTS_WITH(text, "change"))
		return UEVENT_ACTION_CHANGE;
	if (length == 6 && STARTS_WITH(text, "remove"))
		return UEVENT_ACTION_REMOVE;
	if (length == 6 && STARTS_WITH(text, "online"))
		return UEVENT_ACTION_ONLINE;
	if (length == 6 && STARTS_WITH(text, "unbind"))
		return UEVENT_ACTION_UNBIND;
	if (length == 7 && STARTS_WITH(text, "offline"))
		return UEVENT_ACTION_OFFLINE;
	return UEVENT_ACTION_OTHER;
}

/*
 * The decimal number at the beginning of 16 characters: its value, and in the top byte the
 * character that ends it; NOT_A_NUMBER if there is no digit or no end. A function of its own, so
 * that the verifier walks its paths once.
 */
__weak __noinline __u64 parse_decimal(__u64 low, __u64 high)
{
	__u64 value = 0, character;
	int i;

	for (i = 0; i < 2 * CHARACTERS_IN_WORD; i++) {
		character = low & 0xff;
		if (character < '0' || character > '9')
			return i ? character << 56 | value : NOT_A_NUMBER;
		value = value * 10 + character - '0';
		low = low >> 8 | high << 56;
		high >>= 8;
	}
	return NOT_A_NUMBER;
}

static __always_inline __u64 word_at(const char *text)
{
	__u64 word = 0;
	int i;

#pragma unroll
	for (i = 0; i < CHARACTERS_IN_WORD; i++)
		word |= (__u64)(__u8)text[i] << (8 * i);
	return word;
}

static __always_inline bool parse_number(const char *text, __u64 *number, char *end)
{
	__u64 parsed = parse_decimal(word_at(text), word_at(text + CHARACTERS_IN_WORD));

	*number = parsed & ~(0xffULL << 56);
	*end = parsed >> 56;
	return parsed != NOT_A_NUMBER;
}

/* 1 if two characters are the same, else 0; without a branch, for the verifier. */
static __always_inline __u32 is_same(__u8 one, __u8 other)
{
	return ((__u32)(one ^ other) - 1) >> 31;
}

/*
 * Makes of the first component of `text` a key, in its place, since there is no stack to spare:
 * padded with NULs, and empty if it is longer than any disk's. True if it was all of the text.
 */
static __always_inline bool first_component(char *text)
{
	__u32 ended = 0, whole = 0;
	int at;

#pragma unroll
	for (at = 0; at < DISK_NAME_LENGTH; at++) {
		__u8 character = text[at];

		whole |= is_same(character, '\0') & ~ended;
		ended |= is_same(character, '\0') | is_same(character, '/');
		text[at] = character & (ended - 1);
		barrier_var(ended);
		barrier_var(whole);
	}
	text[0] &= -ended;
	return whole & 1;
}

/*
 * A disk of another driver has any name: the part of the path up to the next '/'. Only of those
 * that anybody was seen to own the devno is known.
 */
static __always_inline __u64 named_disk(char *text)
{
	__u64 whole = first_component(text) ? WHOLE_DISK : 0;
	__u32 *devno = bpf_map_lookup_elem(&disks, text);

	return OTHER_DRIVER | whole | (devno ? *devno : 0);
}

/*
 * A bdi bears the major and the first minor of its disk: "7:16". 0: it is none; with the major 0 it
 * is that of a mount without a disk (FUSE, NFS), which a container may make on the host's behalf.
 */
static __always_inline __u64 bdi_disk(const char *text)
{
	__u64 major, minor;
	char end;
	int digits;

#pragma unroll
	for (digits = 1; digits <= MAJOR_DIGITS_MAX; digits++) {
		if (text[digits] != ':')
			continue;
		if (text[0] == '0' || !parse_number(text, &major, &end) || end != ':' ||
		    major > MAJOR_MAX || !parse_number(text + digits + 1, &minor, &end) ||
		    end != '\0' || minor > LOOP_NUMBER_MAX)
			return 0;
		return MAKE_DEVNO(major, minor) | (major == LOOP_MAJOR ? 0 : OTHER_DRIVER);
	}
	return 0;
}

/*
 * Which virtual disk a DEVPATH is about: the disk, anything beneath it (its partitions), or its
 * bdi. Returns the disk's devno where it is known, OTHER_DRIVER if it is no loop disk, 0 for
 * everything else, and WHOLE_DISK if it is about the disk itself. A loop disk's number is in its
 * name: it is known before anybody has owned it.
 */
static __always_inline __u64 uevent_device(char *path, __u32 part_shift)
{
	__u64 number, whole;
	char end;

	if (STARTS_WITH(path, BLOCK_FOLDER "loop")) {
		if (!parse_number(path + sizeof(BLOCK_FOLDER "loop") - 1, &number, &end) ||
		    (end != '\0' && end != '/') || number > LOOP_NUMBER_MAX)
			return 0;
		whole = end == '\0' ? WHOLE_DISK : 0;
		return MAKE_DEVNO(LOOP_MAJOR, number << part_shift) | whole;
	}
	if (STARTS_WITH(path, BLOCK_FOLDER))
		return named_disk(path + sizeof(BLOCK_FOLDER) - 1);
	if (STARTS_WITH(path, BDI_FOLDER))
		return bdi_disk(path + sizeof(BDI_FOLDER) - 1);
	return 0;
}

/*
 * The first string of the text. Functions of their own return one word, so that the verifier walks
 * them once and carries none of their paths on: path_length << 48 | action_length << 40 | action <<
 * 36 | WHOLE_DISK | OTHER_DRIVER | devno. 0: not a kernel uevent (udevd's own messages begin with "libudev").
 */
__weak __noinline __u64 parse_uevent_name(__u64 text, __u32 part_shift, __u32 form)
{
	char action[ACTION_LENGTH_MAX] = {}, path[DEVPATH_LENGTH_MAX] = {};
	__u64 action_length = 0, path_length;
	char end = form == UEVENT_FORM_MESSAGE ? '@' : '\0';
	long length;
	int i;

	if (form == UEVENT_FORM_BUFFER) {
		/* A read of the sysfs file begins with other keys, and sends nothing. */
		if (bpf_probe_read_kernel(action, sizeof(action), (void *)text) ||
		    !STARTS_WITH(action, "ACTION="))
			return 0;
		text += sizeof("ACTION=") - 1;
	}
	if (bpf_probe_read_kernel(action, sizeof(action), (void *)text))
		return 0;
#pragma unroll
	for (i = ACTION_LENGTH_MAX - 1; i > 0; i--)
		action_length = action[i] == end ? i : action[i] ? action_length : 0;
	/* A NUL ends the string: what follows is no action's path. */
	if (!action_length || !action[0])
		return 0;
	text += action_length + 1;
	if (form == UEVENT_FORM_BUFFER)
		text += sizeof("DEVPATH=") - 1;
	length = bpf_probe_read_kernel_str(path, sizeof(path), (void *)text);
	if (length < 2 || path[0] != '/')
		return 0;
	path_length = length < DEVPATH_LENGTH_MAX ? length - 1 : 0;
	return path_length << 48 | action_length << 40 |
	       (__u64)uevent_action_of(action, action_length) << 36 |
	       uevent_device(path, part_shift);
}

/* False: not a kernel uevent. */
static __always_inline bool uevent_name(const char *text, enum uevent_form form, __u32 part_shift,
					struct uevent_name *name)
{
	__u64 packed = parse_uevent_name((__u64)text, part_shift & 0xf, form);

	name->path_length = packed >> 48;
	name->action_length = packed >> 40 & 0xff;
	name->action = packed >> 36 & 0xf;
	name->whole_disk = (packed & WHOLE_DISK) != 0;
	name->other_driver = (packed & OTHER_DRIVER) != 0;
	name->devno = packed;
	return packed != 0;
}

/*
 * Reads on after the DEVPATH, string by string, and stops at one that is too long to hold. Packed
 * for the same reason as the name: diskseq << 16 | subsystem << 8 | synthetic.
 */
__weak __noinline __u64 parse_uevent_fields(__u64 text, __u32 offset)
{
	__u64 diskseq = 0, number;
	__u32 subsystem = UEVENT_SUBSYSTEM_OTHER, synthetic = 0;
	int string;
	char end;

	for (string = 0; string < UEVENT_STRINGS_MAX; string++) {
		char field[UEVENT_STRING_LENGTH] = {};
		long length =
		    bpf_probe_read_kernel_str(field, sizeof(field), (void *)text + offset);

		if (length <= 1 || length >= UEVENT_STRING_LENGTH)
			break;
		offset += length;
		if (STARTS_WITH(field, "SUBSYSTEM=block"))
			subsystem = UEVENT_SUBSYSTEM_BLOCK;
		else if (STARTS_WITH(field, "SUBSYSTEM=bdi"))
			subsystem = UEVENT_SUBSYSTEM_BDI;
		else if (STARTS_WITH(field, "SYNTH_UUID="))
			synthetic = 1;
		else if (STARTS_WITH(field, "DISKSEQ=") &&
			 parse_number(field + sizeof("DISKSEQ=") - 1, &number, &end))
			diskseq = number;
		else if (STARTS_WITH(field, "SEQNUM="))
			break;
	}
	return diskseq << 16 | subsystem << 8 | synthetic;
}

/*
 * The same for what is asked of few: major << 52 | minor << 32 | the cookie that device-mapper's
 * caller waits for. They come in the order DM_COOKIE (dm_kobject_uevent in drivers/md/dm.c), then
 * MAJOR, MINOR (dev_uevent in drivers/base/core.c).
 */
__weak __noinline __u64 parse_uevent_numbers(__u64 text, __u32 offset)
{
	__u64 major = 0, minor = 0, cookie = 0, number;
	int string;
	char end;

	for (string = 0; string < UEVENT_STRINGS_MAX; string++) {
		char field[UEVENT_STRING_LENGTH] = {};
		long length =
		    bpf_probe_read_kernel_str(field, sizeof(field), (void *)text + offset);

		if (length <= 1 || length >= UEVENT_STRING_LENGTH)
			break;
		offset += length;
		if (STARTS_WITH(field, "DM_COOKIE=") &&
		    parse_number(field + sizeof("DM_COOKIE=") - 1, &number, &end))
			cookie = (__u32)number;
		else if (STARTS_WITH(field, "MAJOR=") &&
			 parse_number(field + sizeof("MAJOR=") - 1, &number, &end))
			major = number & MAJOR_MAX;
		else if (STARTS_WITH(field, "MINOR=") &&
			 parse_number(field + sizeof("MINOR=") - 1, &number, &end)) {
			minor = number & LOOP_NUMBER_MAX;
			break;
		}
	}
	return major << 52 | minor << 32 | cookie;
}

/* Where the strings after the DEVPATH begin; 0 if that is not known. */
static __always_inline __u32 fields_offset(enum uevent_form form, const struct uevent_name *name)
{
	/* "ACTION=ACTION\0DEVPATH=PATH\0", in a message after "ACTION@PATH\0" */
	__u32 lengths = name->action_length + name->path_length;
	__u32 offset = lengths + sizeof("ACTION=") + sizeof("DEVPATH=");

	if (!name->path_length)
		return 0;
	return form == UEVENT_FORM_MESSAGE ? offset + lengths + sizeof("@") : offset;
}

static __always_inline struct uevent_fields uevent_fields(const char *text, enum uevent_form form,
							  const struct uevent_name *name)
{
	__u32 offset = fields_offset(form, name);
	__u64 packed = offset ? parse_uevent_fields((__u64)text, offset) : 0;
	struct uevent_fields fields = {
	    .diskseq = packed >> 16,
	    .subsystem = packed >> 8 & 0xff,
	    .synthetic = packed & 1,
	};

	return fields;
}

static __always_inline __u64 uevent_numbers(const char *text, enum uevent_form form,
					    const struct uevent_name *name)
{
	__u32 offset = fields_offset(form, name);

	return offset ? parse_uevent_numbers((__u64)text, offset) : 0;
}

/* The address of the disk's name in a path that is below BLOCK_FOLDER. */
static __always_inline __u64 disk_name_address(const char *text, enum uevent_form form,
					       const struct uevent_name *name)
{
	__u64 address = (__u64)text + name->action_length + 1;

	if (form == UEVENT_FORM_BUFFER)
		address += sizeof("ACTION=") - 1 + sizeof("DEVPATH=") - 1;
	return address + sizeof(BLOCK_FOLDER) - 1;
}

/* A function of its own, as all that are long when they are unrolled. */
__weak __noinline int remember_disk(__u64 address, __u32 devno)
{
	struct disk_name name = {};

	bpf_probe_read_kernel_str(name.text, sizeof(name.text), (void *)address);
	first_component(name.text);
	if (bpf_map_update_elem(&disks, &name, &devno, BPF_ANY))
		count_drop(DROP_REASON_OWNER_MAP_FULL);
	return 0;
}

#endif
