/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ABI: every struct and enum that crosses between the BPF programs and the agent.
 *
 * scripts/generate-abi.ts reads these from the BTF of abi.o and writes the TypeScript decoder, so
 * this file is their only declaration. Rules the generator enforces: no implicit padding, no bit
 * fields, no pointers, fixed-size arrays of integers or chars only. An enum value's name in
 * TypeScript is its C name without the enum's own prefix.
 */
#ifndef LOOPWARDEN_EVENT_H
#define LOOPWARDEN_EVENT_H

#define COMM_LENGTH           16
#define BACKING_PATH_LENGTH   1024
#define PATH_COMPONENT_LENGTH 256
#define DURATION_BUCKETS      8
/* DISK_NAME_LEN of include/linux/genhd.h, blkdev.h: with its NUL. */
#define DISK_NAME_LENGTH 32

/*
 * What every program calls the initial user namespace, known by its level 0, whatever ns_id the kernel gave it (3 or
 * another: include/uapi/linux/nsfs.h came after ns_id itself). A user namespace that has this very number, which kernels
 * of that time can give, is renamed in owner.bpf.h.
 */
#define USERNS_INITIAL 3ULL
/* No namespace: nobody was seen to create or to hold the device. */
#define USERNS_NONE 0ULL
/*
 * A container that has no user namespace of its own is named by its pid namespace: a number of CONTAINER_ID_BITS below
 * CONTAINER_IDS. No ns_id gets there (it counts namespaces), no stamp stays there (owner.bpf.h), and all are below 2^53:
 * every reader of JSON has them exactly.
 */
#define CONTAINER_ID_BITS 40
#define CONTAINER_IDS     (0x1fffULL << CONTAINER_ID_BITS)

enum event_kind {
	EVENT_KIND_IOCTL =
	    1, /* struct ioctl_event, or struct ioctl_path_event where a path was set */
	EVENT_KIND_UEVENT = 2,   /* struct uevent_event: emission of a uevent about such a device */
	EVENT_KIND_RECEIVER = 3, /* struct receiver_event: a uevent socket was made or bound */
};

/* Why a record never reached the ring, or an owner the map. One per-CPU counter each. */
enum drop_reason {
	DROP_REASON_RING_FULL = 0,
	DROP_REASON_INFLIGHT_FULL = 1, /* more callers inside a loop ioctl than the table holds */
	DROP_REASON_OWNER_MAP_FULL = 2,
	DROP_REASON_USERNS_MAP_FULL = 3,
	/* More kinds of records are counted instead of made than the table holds. */
	DROP_REASON_AGGREGATES_FULL = 4,
	DROP_REASON_ANNOUNCEMENTS_FULL = 5, /* more new uevent sockets than their ring holds */
	DROP_REASON_COUNT = 6,
};

/* The ioctls of drivers/block/loop.c in the order of their numbers; indexes the counters. */
enum loop_command {
	LOOP_COMMAND_LOOP_SET_FD = 0,
	LOOP_COMMAND_LOOP_CLR_FD = 1,
	LOOP_COMMAND_LOOP_SET_STATUS = 2,
	LOOP_COMMAND_LOOP_GET_STATUS = 3,
	LOOP_COMMAND_LOOP_SET_STATUS64 = 4,
	LOOP_COMMAND_LOOP_GET_STATUS64 = 5,
	LOOP_COMMAND_LOOP_CHANGE_FD = 6,
	LOOP_COMMAND_LOOP_SET_CAPACITY = 7,
	LOOP_COMMAND_LOOP_SET_DIRECT_IO = 8,
	LOOP_COMMAND_LOOP_SET_BLOCK_SIZE = 9,
	LOOP_COMMAND_LOOP_CONFIGURE = 10,
	LOOP_COMMAND_LOOP_CTL_ADD = 11,
	LOOP_COMMAND_LOOP_CTL_REMOVE = 12,
	LOOP_COMMAND_LOOP_CTL_GET_FREE = 13,
	LOOP_COMMAND_COUNT = 14,
};

/* Results as the metrics have them; the record carries the exact errno. */
enum ioctl_result {
	IOCTL_RESULT_OK = 0,
	IOCTL_RESULT_EPERM = 1,
	IOCTL_RESULT_EBADF = 2,
	IOCTL_RESULT_EACCES = 3,
	IOCTL_RESULT_EBUSY = 4,
	IOCTL_RESULT_EEXIST = 5,
	IOCTL_RESULT_ENODEV = 6,
	IOCTL_RESULT_EINVAL = 7,
	IOCTL_RESULT_ENOSPC = 8,
	IOCTL_RESULT_ENXIO = 9,
	IOCTL_RESULT_OTHER = 10,
	IOCTL_RESULT_COUNT = 11,
};

enum syscall_arch {
	SYSCALL_ARCH_NATIVE = 0,
	SYSCALL_ARCH_COMPAT = 1, /* a 32-bit caller on a 64-bit kernel */
};

enum uevent_subsystem {
	UEVENT_SUBSYSTEM_OTHER = 0,
	UEVENT_SUBSYSTEM_BLOCK = 1,
	UEVENT_SUBSYSTEM_BDI = 2,
	UEVENT_SUBSYSTEM_COUNT = 3,
};

/* kobject_actions of lib/kobject_uevent.c. */
enum uevent_action {
	UEVENT_ACTION_OTHER = 0,
	UEVENT_ACTION_ADD = 1,
	UEVENT_ACTION_REMOVE = 2,
	UEVENT_ACTION_CHANGE = 3,
	UEVENT_ACTION_MOVE = 4,
	UEVENT_ACTION_ONLINE = 5,
	UEVENT_ACTION_OFFLINE = 6,
	UEVENT_ACTION_BIND = 7,
	UEVENT_ACTION_UNBIND = 8,
	UEVENT_ACTION_COUNT = 9,
};

enum verdict {
	VERDICT_DELIVER = 0,
	VERDICT_HIDE = 1,
	VERDICT_COUNT = 2,
};

/* What decided a verdict. The first group delivers, the second hides. */
enum rule {
	RULE_NOT_LOOP = 0,      /* about no loop device, nor another that anybody was seen to own */
	RULE_UNKNOWN_OWNER = 1, /* nobody was seen to make or attach it: treated as the host's */
	RULE_INITIAL_OWNER = 2, /* the initial user namespace owns it */
	RULE_RECEIVER_OWNS = 3, /* the receiver's user namespace is the owner */
	RULE_RECEIVER_IS_ANCESTOR = 4, /* ... or an ancestor of it below the initial one */
	RULE_ALLOW_LIST = 5,           /* the receiver is on the allow-list */
	RULE_OBSERVE = 6,              /* would be hidden, but filter.mode is observe */

	RULE_CREATOR = 7,  /* owned by the namespace that made the device */
	RULE_HOLDER = 8,   /* owned by the namespace that attached the backing file */
	RULE_PENDING = 9,  /* the emitter is attaching the backing file right now */
	RULE_ECHO = 10,    /* host udev's watch echoes a life that a container has just ended */
	RULE_STACKED = 11, /* on a device that a user namespace owns (dm, md) */
	RULE_COUNT = 12,
};

/* Where a device of device-mapper or md stands to what is below it. */
enum stack_state {
	STACK_STATE_NONE = 0,    /* on nothing that a user namespace owns */
	STACK_STATE_CLAIMED = 1, /* being made on it: announced, not linked to it yet */
	STACK_STATE_LINKED = 2,  /* on it */
	STACK_STATE_LEFT =
	    3, /* off it again: about to be removed, or on the host's own devices now */
};

/*
 * The ends of a hook that the agent makes fire once after attaching, before the hook counts as
 * attached: an attached program may yet never run.
 */
enum canary {
	CANARY_DEVICE_IOCTL_ENTRY = 0,
	CANARY_DEVICE_IOCTL_RETURN = 1,
	CANARY_CONTROL_IOCTL_ENTRY = 2,
	CANARY_CONTROL_IOCTL_RETURN = 3,
	CANARY_RECEIVER_APPEARANCE = 4,
	CANARY_UEVENT_EMISSION = 5,
	CANARY_UEVENT_DELIVERY = 6,
	CANARY_COUNT = 7,
};

/* Lo_* of drivers/block/loop.c. */
enum loop_state {
	LOOP_STATE_UNBOUND = 0,
	LOOP_STATE_BOUND = 1,
	LOOP_STATE_RUNDOWN = 2,
	LOOP_STATE_DELETING = 3,
};

enum filter_mode {
	FILTER_MODE_OFF = 0,
	FILTER_MODE_OBSERVE = 1,
	FILTER_MODE_HIDE = 2,
};

/* Whose devices are hidden from the host: hide.scope of the config. */
enum hide_scope {
	HIDE_SCOPE_USERNS = 0,
	HIDE_SCOPE_CONTAINER = 1, /* containers without a user namespace of their own, too */
};

struct event_header {
	__u16 kind;
	__u16 size; /* of the whole record */
	__u32 cpu;
	__u64
	    cpu_seq; /* counts every record this CPU made for the ring of events, dropped or not */
	__u64 boot_ns; /* CLOCK_BOOTTIME */
};

struct userns_identity {
	__u64 id;
	__u32 inum;
	__u32 level;
	__u32 owner_uid; /* as the initial user namespace sees it */
	__u32 padding;
};

struct caller {
	__u32 pid; /* process (thread group) */
	__u32 tid;
	__u64 start_boot_ns;
	__u64 cgroup_id;
	__u32 uid; /* effective, as the initial user namespace sees it */
	__u32 gid;
	__u32 pidns;
	__u32 mntns;
	__u32 netns;
	/* 1: of the host's, at a device that is not (emit.bpf.h); of uevents only what it wrote to sysfs. */
	__u32 is_foreign;
	struct userns_identity userns;
	char comm[COMM_LENGTH];
};

struct loop_config_state {
	__u64 diskseq;
	__u64 offset;
	__u64 sizelimit;
	__u64 backing_inode;
	__u32 backing_dev; /* kernel's encoding: major << 20 | minor; 0 when nothing is attached */
	__u32 flags;       /* LO_FLAGS_* */
	__u32 block_size;
	__u32 state; /* enum loop_state */
};

struct ioctl_event {
	struct event_header header;
	struct caller caller;
	__u32 command; /* enum loop_command */
	__s32 result;  /* 0 or more, or a negative errno */
	__u64 duration_ns;
	__u64 argument;
	__u32 devno; /* of the disk, kernel's encoding; 0 when the command names none */
	__u32 arch;  /* enum syscall_arch */
	__u32 opener_uid;
	__u32 opener_userns_inum;
	__u64 opener_userns;
	__u64 diskseq_before;
	__u64 owner_before;
	__u64 owner_after;
	__u32 path_length;    /* bytes of the backing path; 0 in a plain struct ioctl_event */
	__u32 path_truncated; /* 1: the beginning of the path did not fit */
	struct loop_config_state after;
};

/*
 * An ioctl that gave the device its backing file. The path is built from its last component to its
 * first, so it is the last path_length bytes of `path`; `slack` only gives the verifier room for
 * one more component.
 */
struct ioctl_path_event {
	struct ioctl_event event;
	char path[BACKING_PATH_LENGTH];
	char slack[PATH_COMPONENT_LENGTH];
};

/* The kernel's name of a disk. */
struct disk_name {
	char text[DISK_NAME_LENGTH];
};

/*
 * One uevent about a loop device, or about one of another driver that anybody was seen to own; about its
 * partition or its bdi. Seen where it is emitted.
 */
struct uevent_event {
	struct event_header header;
	struct caller emitter;
	__u32 devno; /* of the disk */
	__u32 action;
	__u32 subsystem;
	__u32 synthetic; /* 1: written to a sysfs uevent file */
	__u32 verdict;   /* what a host receiver gets */
	__u32 rule;
	__u64 owner;
	__u64 holder_ended; /* the user namespace whose life ends with this uevent, or 0 */
	__u64 diskseq;
	__u32 state;      /* enum loop_state */
	__u32 whole_disk; /* 1: the disk itself, 0: partition, bdi, other child */
	/* Who asked device-mapper waits until udev has completed this (DM_COOKIE); 0: nobody does. */
	__u32 dm_cookie;
	__u32 padding;
	/*
	 * The path from the disk's name on, as far as there is room; empty for a loop disk, whose
	 * number says its name, and for a bdi.
	 */
	char disk[DISK_NAME_LENGTH];
};

/*
 * A hidden uevent whose record found no room, and that somebody waits for: the agent is to complete it all the same. Each
 * has a key of its own, so that none is deleted with another.
 */
struct lost_cookie {
	__u64 boot_ns;
	__u32 dm_cookie; /* as in struct uevent_event; not 0 */
	__u32 cpu;
};

struct receiver_event {
	struct event_header header;
	__u32 pid;
	__s32 fd;
	__u32 userns_inum;
	__u32 userns_level;
};

/*
 * Records that were counted instead of made (bpf/budget.bpf.h). An interval that the agent has closed gets no more counts,
 * and is told and deleted by it.
 */
struct aggregate_key {
	__u64 principal;
	__u32 interval;
	__u16 kind;       /* EVENT_KIND_IOCTL or EVENT_KIND_UEVENT */
	__u16 command;    /* enum loop_command; of uevents enum uevent_action */
	__s32 result;     /* as in struct ioctl_event; of uevents enum verdict */
	__u32 is_foreign; /* as in struct caller, of all of them */
};

struct aggregate_entry {
	/* The first three stand here in every layout: an agent of another one tells them as a gap. */
	__u64 count;
	__u64 first_boot_ns;
	__u64 last_boot_ns;
	struct caller caller; /* who made the first of them */
	__u32 devno;          /* the disk of the first; 0: it named none */
	__u32 is_mixed;       /* 1: others were of another disk, or may have been */
};

/* What budgets there are: written by the agent, read by every program; key 0. */
struct record_budgets {
	__u32 interval;
	__u32 cost_ns;      /* of a record: 10^9 / records a second; 0: there are no budgets */
	__u32 burst;        /* records at once */
	__u32 shared_bytes; /* with more than this in the ring, a principal's are counted */
	/* The same for root of the initial user namespace. */
	__u32 host_cost_ns;
	__u32 host_burst;
	__u32 host_bytes;
	__u32 padding;
};

/* One line of the receiver iterator: a descriptor, and the process that has it. */
struct receiver_entry {
	__u64 socket_inode;
	__u64 socket_address;
	__u64
	    container; /* that the process is in, while the scope is that; USERNS_NONE: the host */
	__u64 userns;  /* of the credentials that opened the socket */
	__u64 start_boot_ns;
	__u64 cgroup_id;
	__u32 userns_inum;
	__u32 userns_level;
	__u32 pid;
	__s32 fd;
	__u32 netns;
	__u32 portid;
	__u32 groups;    /* bit 0: kernel uevents, bit 1: udev's own */
	__u32 filter_id; /* id of the attached BPF program; 0 none, ~0 a classic filter */
	__u32 uid;       /* of the credentials that opened the socket */
	__u32 mntns;
	__u32 pidns_level; /* 0: the host's */
	__u32 padding;
};

/* A uevent socket, as long as it is open: addresses are used again, and in time inodes are. */
struct receiver_key {
	__u64 address; /* struct sock */
	__u64 inode;
};

/* One line of the process iterator: the user namespace that a process is in. */
struct process_entry {
	__u64 userns;
	__u32 pid;
	__u32 userns_inum;
	__u32 userns_level;
	__u32 padding;
};

/* The last line of the walk over who uses user namespaces. */
struct namespace_walk {
	__u64 complete; /* 1: what it did not find in use is in use by nobody */
};

/* Who has a loop device open, by the kernel's own count. */
struct openers_entry {
	__u32 devno;
	__s32 openers; /* of the disk and its partitions, mounts among them; -1: not known */
};

/*
 * State, which outlives the programs: from here to inflight_entry. Another version of the programs
 * goes on with the same maps, so these structs only grow, by words of `reserved`, and a word that
 * is 0 means what it meant before it had a name. Records may change freely.
 */

/* What is known of a user namespace, or of a container's pid namespace; key: its id. */
struct userns_entry {
	__u64 parent;
	__u64 first_seen_boot_ns;
	__u32 inum;
	__u32 level;
	__u32 owner_uid;
	__u32 padding;
	__u64 address;      /* struct user_namespace; 0: never seen by a version that notes it */
	__u64 used_boot_ns; /* when a walk of namespace_life.bpf.c last found it in use; 0: never */
};

/* Where ns_common has no ns_id: (inum, address) → the id given when it was first seen. */
struct userns_key {
	__u64 address;
	__u32 inum;
	__u32 is_pid; /* 1: a pid namespace */
};

/*
 * Who owns a device; key: the disk's devno. Only BPF writes it while programs are attached, one
 * aligned word at a time, so that no reader ever sees a torn name. Of other drivers than loop only
 * those devices have one that a user namespace made or that stand on another's.
 */
struct owner_entry {
	__u64 creator;
	__u64 holder; /* of the life holder_diskseq; 0: nobody */
	__u64 holder_diskseq;
	__u64 pending;       /* user namespace of a caller inside LOOP_CONFIGURE or LOOP_SET_FD */
	__u64 pending_token; /* that caller's tgid << 32 | tid */
	__u64 loop_address;  /* struct loop_device, to see whether the life still lasts */
	__u64 last_holder;   /* whose life ended last */
	__u64 released_boot_ns; /* ... or when it left the devices below it */
	__u64 stacked;          /* the owner of a device below it; 0: nobody */
	__u32 links;            /* how many devices below it a user namespace owns */
	__u32 stack;            /* enum stack_state */
	__u32 host_knows; /* 1: the host was told of this device: it is to hear of its end too */
	__u32 padding;
	__u64 reserved[1];
};

/* A device on one that a user namespace owns: devnos of the disks. */
struct stack_link {
	__u32 above;
	__u32 below;
};

/*
 * The claim of device-mapper on a device that a user namespace owns, by the thread that loads the
 * table: the new disk is announced before it is linked to what it is on. Key: tgid << 32 | tid.
 */
struct claim_entry {
	__u64 owner;
	__u64 bdev;          /* struct block_device */
	__u64 start_boot_ns; /* of the thread */
	__u32 holders;       /* that the device had before */
	__u32 padding;
};

/* A caller inside a loop ioctl; in the storage of its task, or by tgid << 32 | tid before 5.11. */
struct call_entry {
	__u64 start_ns; /* 0: no call is under way */
	__u64 argument;
	__u64 file;
	__u64 loop_address;
	__u64 userns;
	__u64 diskseq;
	__u64 owner;
	__u32 command;
	__u32 devno;
	__u32 arch;
	__u32 state;
	__u32 flags; /* LO_FLAGS_*, of LOOP_CLR_FD only */
	__u32 padding;
	__u64 claimant; /* who the device will belong to; 0: `userns` */
	__u64 reserved[2];
};

/*
 * The same for those calls that uevents are sent in: they make a device or begin a life. Key: tgid
 * << 32 | tid.
 */
struct inflight_entry {
	__u64 userns; /* or container: who the device will belong to */
	__u64 created_diskseq;
	__u32
	    created; /* devno of the disk that an `add` uevent announced inside this call; 0 none */
	__u32 command;
	__u32 devno;
	__u32 state;
	__u64 reserved[2];
};

/* Durations of one loop command; the last bucket has no upper bound. Key: enum loop_command. */
struct duration_histogram {
	__u64
	    buckets[DURATION_BUCKETS]; /* not cumulative: under 10 us, 100 us, ... 10 s, the rest */
	__u64 sum_ns;
};

/* Written by the agent, read by every program; key 0. */
struct filter_settings {
	__u16 mode;        /* enum filter_mode */
	__u16 scope;       /* enum hide_scope */
	__u32 part_shift;  /* of the loop driver: minor = number << part_shift */
	__u32 udev_tgid;   /* the host's udevd: its watch echoes; 0 none */
	__u32 canary_tgid; /* the agent, while it makes the hooks fire; 0: nobody */
};

#endif
