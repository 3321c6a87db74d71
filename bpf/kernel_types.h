/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's types, with only the fields that are read. Names are the kernel's, order and size
 * are not: every access is relocated against the running kernel's BTF (CO-RE). A field that a
 * supported kernel lacks is asked for with bpf_core_field_exists where it is read.
 */
#ifndef LOOPWARDEN_KERNEL_TYPES_H
#define LOOPWARDEN_KERNEL_TYPES_H

#include <stdbool.h>
#include <linux/types.h>
#include <linux/bpf.h>

/* For bpf_tracing.h: registers have the kernel's names. */
#define __VMLINUX_H__

#define LOOP_MAJOR          7
#define MISC_MAJOR          10
#define LOOP_CTRL_MINOR     237
#define MINOR_BITS          20
#define MAKE_DEVNO(ma, mi)  (((__u32)(ma) << MINOR_BITS) | (__u32)(mi))
#define DEVNO_MAJOR(dev)    ((dev) >> MINOR_BITS)
#define LOOP_NUMBER_MAX     ((1U << MINOR_BITS) - 1)
#define FILE_TYPE_MASK      0170000
#define FILE_TYPE_BLOCK     0060000
#define FILE_TYPE_CHARACTER 0020000
#define FILE_TYPE_SOCKET    0140000
/*
 * include/linux/fs.h: an O_PATH descriptor, on which ioctl(2) is EBADF and f_mapping is not a
 * device's.
 */
#define FMODE_PATH             0x4000
#define AF_NETLINK             16
#define NETLINK_KOBJECT_UEVENT 15
/* arch/x86/include/asm/thread_info.h: the current system call was made by a 32-bit caller. */
#define TS_COMPAT 0x0002

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	__u32 val;
} kuid_t;
typedef struct {
	__u32 val;
} kgid_t;

typedef struct {
	int counter;
} atomic_t;
typedef struct refcount_struct {
	atomic_t refs;
} refcount_t;
struct list_head {
	struct list_head *next;
};

/*
 * ns_id, __ns_ref: 6.18 and newer; __ns_ref_active: 6.19. stashed: the dentry of nsfs, which is there as long as a descriptor
 * or a mount of the namespace is.
 */
struct ns_common {
	struct dentry *stashed;
	unsigned int inum;
	refcount_t __ns_ref;
	atomic_t __ns_ref_active;
	__u64 ns_id;
};
/* Before 6.18. */
struct ns_common___count {
	refcount_t count;
};
/* Before 6.9: an atomic_long_t. */
struct ns_common___word {
	struct {
		__s64 counter;
	} stashed;
};
struct user_namespace {
	struct user_namespace *parent;
	int level;
	kuid_t owner;
	struct ns_common ns;
};
/* Before 5.11. */
struct user_namespace___count {
	atomic_t count;
};
struct pid_namespace {
	struct user_namespace *user_ns;
	struct ns_common ns;
	unsigned int level;
	struct pid_namespace *parent;
	struct task_struct *child_reaper;
};
struct mnt_namespace {
	struct user_namespace *user_ns;
	struct ns_common ns;
};
struct uts_namespace {
	struct user_namespace *user_ns;
};
struct ipc_namespace {
	struct user_namespace *user_ns;
};
struct time_namespace {
	struct user_namespace *user_ns;
};
struct cgroup_namespace {
	struct user_namespace *user_ns;
};
struct net {
	struct list_head list;
	struct ns_common ns;
	struct user_namespace *user_ns;
};
struct nsproxy {
	struct uts_namespace *uts_ns;
	struct ipc_namespace *ipc_ns;
	struct mnt_namespace *mnt_ns;
	struct pid_namespace *pid_ns_for_children;
	struct net *net_ns;
	struct time_namespace *time_ns;
	struct time_namespace *time_ns_for_children;
	struct cgroup_namespace *cgroup_ns;
};
struct upid {
	struct pid_namespace *ns;
};
struct pid {
	unsigned int level;
	struct upid numbers[1];
};
struct kernfs_node {
	__u64 id;
};
struct cgroup {
	struct kernfs_node *kn;
};
struct css_set {
	struct cgroup *dfl_cgrp;
};
struct cred {
	kuid_t euid;
	kgid_t egid;
	struct user_namespace *user_ns;
};
struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};
struct files_struct {
	struct fdtable *fdt;
};
struct thread_info {
	__u32 status;
};
struct task_struct {
	struct thread_info thread_info;
	int pid;
	int tgid;
	__u64 start_boottime;
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	struct cred *real_cred;
	struct cred *cred;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct pid *thread_pid;
	struct css_set *cgroups;
	char comm[16];
};
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long bx;
	unsigned long cx;
	unsigned long ax;
	unsigned long di;
	unsigned long si;
	unsigned long dx;
	unsigned long orig_ax;
};
#else
#error "loopwarden: the tracepoint link knows the system call numbers of x86-64 only"
#endif

struct super_block {
	__u32 s_dev;
};
struct inode {
	unsigned short i_mode;
	__u32 i_rdev;
	struct super_block *i_sb;
	unsigned long i_ino;
};
struct address_space {
	struct inode *host;
};
struct qstr {
	__u32 len;
	const unsigned char *name;
};
struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};
struct vfsmount {
	struct dentry *mnt_root;
};
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};
struct file {
	unsigned int f_mode;
	struct inode *f_inode;
	struct address_space *f_mapping;
	struct cred *f_cred;
	void *private_data;
	struct path f_path;
};

struct block_device {
	struct gendisk *bd_disk;
	atomic_t bd_openers;
	int bd_holders;
};
/*
 * block/bdev.c (fs/block_dev.c before 5.14): the inode of a block device's page cache sits beside
 * it.
 */
struct bdev_inode {
	struct block_device bdev;
	struct inode vfs_inode;
};
struct queue_limits {
	unsigned int logical_block_size;
};
struct request_queue {
	struct queue_limits limits;
};
/* diskseq: 5.15 and newer. */
struct gendisk {
	int major;
	int first_minor;
	struct block_device *part0;
	char disk_name[32];
	void *private_data;
	struct request_queue *queue;
	__u64 diskseq;
};
/* drivers/block/loop.c; in the BTF of the module where loop is one. */
struct loop_device {
	int lo_number;
	long long lo_offset;
	long long lo_sizelimit;
	int lo_flags;
	struct file *lo_backing_file;
	int lo_state;
	struct gendisk *lo_disk;
};
/* Before 5.18. */
struct loop_device___refcnt {
	atomic_t lo_refcnt;
};

struct sock_common {
	unsigned short skc_family;
	struct {
		long long counter;
	} skc_cookie;
	struct {
		struct net *net;
	} skc_net;
};
struct bpf_prog_aux {
	__u32 id;
	char name[16];
};
/* enum bpf_prog_type's slot for a classic filter that was migrated is BPF_PROG_TYPE_UNSPEC. */
struct bpf_prog {
	int type;
	struct bpf_prog_aux *aux;
};
struct sk_filter {
	struct bpf_prog *prog;
};
struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
	struct socket *sk_socket;
	struct sk_filter *sk_filter;
};
struct netlink_sock {
	struct sock sk;
	__u32 portid;
	__u32 ngroups;
	unsigned long *groups;
};
struct socket {
	struct file *file;
	struct sock *sk;
};
/* In sk_buff.cb of a netlink message: 0 means that the kernel itself sent it. */
struct netlink_skb_parms {
	__u32 portid;
};
struct sk_buff {
	char cb[48];
	unsigned char *data;
	struct sock *sk;
	unsigned int len;
};

struct kthread_worker {
	unsigned int flags;
};
struct blk_mq_tag_set {
	unsigned int flags;
};
struct kobject;
/* lib/kobject_uevent.c: the text of a uevent as it grows. */
struct kobj_uevent_env {
	char buf[2048];
};

struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};
struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	void *key;
	void *value;
};
struct bpf_iter__bpf_prog {
	struct bpf_iter_meta *meta;
	struct bpf_prog *prog;
};
struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

#pragma clang attribute pop

/*
 * struct loop_device of Linux 5.10 (drivers/block/loop.h), whose modules have no BTF before 5.11: the
 * whole of it up to the last field that is read, for x86-64 without lock debugging. Never trusted
 * alone: a disk's loop_device must point back at the disk (loop_state_at).
 */
struct loop_device___without_btf {
	int lo_number;
	int lo_refcnt;
	long long lo_offset;
	long long lo_sizelimit;
	int lo_flags;
	void *transfer;
	char lo_file_name[64];
	char lo_crypt_name[64];
	char lo_encrypt_key[32];
	int lo_encrypt_key_size;
	void *lo_encryption;
	__u32 lo_init[2];
	__u32 lo_key_owner;
	void *ioctl;
	struct file *lo_backing_file;
	struct block_device *lo_device;
	void *key_data;
	__u32 old_gfp_mask;
	__u32 lo_lock;
	int lo_state;
	/*
	 * struct kthread_worker, whose size the kernel's BTF tells; a pointer, two bools, a
	 * pointer; struct blk_mq_tag_set, likewise; then lo_disk.
	 */
	void *worker[];
};

#endif
