// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Loop ioctls and new uevent sockets, at the system call's boundary.
 *
 * sys_enter and sys_exit fire for every ioctl of the host that any loop device can get
 * (entry_SYSCALL_64 → do_syscall_64 → trace_sys_enter; since 2.6), on every kernel, even where
 * trampolines and kprobes are locked down. They cost every other system call of the host the slow
 * entry path, and they see the descriptor before the kernel does: a second thread that swaps it in
 * between is attributed to the file that was there at entry.
 */
#define DIRECT_READS
#include "ioctl.bpf.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define SYS_IOCTL         16
#define SYS_SOCKET        41
#define SYS_BIND          49
#define SYS_COMPAT_IOCTL  54
#define SYS_COMPAT_SOCKET 359
#define SYS_COMPAT_BIND   361

static __always_inline bool is_compat(struct task_struct *task)
{
	return READ(task, thread_info.status) & TS_COMPAT;
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(syscall_enter_tp_btf, struct pt_regs *regs, long number)
{
	struct task_struct *task;
	struct loop_target target = {};
	__u32 command, arch = SYSCALL_ARCH_NATIVE;
	__u64 argument;
	struct file *file;
	__u32 fd;

	if (number == SYS_IOCTL) {
		command = loop_command_of(READ(regs, si));
		if (command == LOOP_COMMAND_COUNT)
			return 0;
		task = current_task();
		if (is_compat(task))
			return 0;
		fd = READ(regs, di);
		argument = READ(regs, dx);
	} else if (number == SYS_COMPAT_IOCTL) {
		command = loop_command_of(READ(regs, cx));
		if (command == LOOP_COMMAND_COUNT)
			return 0;
		task = current_task();
		if (!is_compat(task))
			return 0;
		fd = READ(regs, bx);
		argument = (__u32)READ(regs, dx);
		arch = SYSCALL_ARCH_COMPAT;
	} else {
		return 0;
	}
	file = file_of_fd(task, fd);
	if (!file || !loop_target_of_file(file, &target) || !target.loop != is_control(command))
		return 0;
	ioctl_entered(&target, command, argument, arch);
	return 0;
}

/* A socket that can hear the kernel's uevents, made or bound just now; null for any other. */
static __always_inline struct file *uevent_socket_of(struct task_struct *task, __u32 fd)
{
	struct file *file = file_of_fd(task, fd);
	struct socket *socket;
	struct sock *sock;

	if (!file || (READ(file, f_inode, i_mode) & FILE_TYPE_MASK) != FILE_TYPE_SOCKET)
		return NULL;
	socket = READ(file, private_data);
	sock = READ(socket, sk);
	if (READ(sock, __sk_common.skc_family) != AF_NETLINK ||
	    READ(sock, sk_protocol) != NETLINK_KOBJECT_UEVENT)
		return NULL;
	return file;
}

/* Announces the receiver at once: until the filter is on it, it hears everything. */
static __always_inline void receiver_appeared(struct task_struct *task, __u32 fd)
{
	struct file *file = uevent_socket_of(task, fd);
	struct receiver_event *record;
	struct user_namespace *ns;

	if (!file)
		return;
	record = bpf_ringbuf_reserve(&receiver_events, sizeof(*record), 0);
	if (!record) {
		count_drop(DROP_REASON_RING_FULL);
		return;
	}
	ns = READ(file, f_cred, user_ns);
	fill_header(&record->header, EVENT_KIND_RECEIVER, sizeof(*record), next_cpu_seq(),
		    bpf_ktime_get_boot_ns());
	record->pid = READ(task, tgid);
	record->fd = fd;
	record->userns_inum = READ(ns, ns.inum);
	record->userns_level = READ(ns, level);
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
	count(&event_counts, EVENT_KIND_RECEIVER);
}

/*
 * One program for both hooks: a second one would cost every system call of the host a second time.
 *
 * A uevent socket is seen where it is made rather than where it begins to listen: the filter is
 * then usually on it before bind(2). bind is seen too, for a socket that was made before the agent
 * started, or by a call not known here (socketcall).
 */
SEC("?tp_btf/sys_exit")
int BPF_PROG(syscall_exit_tp_btf, struct pt_regs *regs, long result)
{
	switch (READ(regs, orig_ax)) {
	case SYS_IOCTL:
		if (loop_command_of(READ(regs, si)) != LOOP_COMMAND_COUNT)
			ioctl_returned(result);
		break;
	case SYS_SOCKET:
		if (result >= 0 && READ(regs, di) == AF_NETLINK)
			receiver_appeared(current_task(), result);
		break;
	case SYS_BIND:
		if (result >= 0)
			receiver_appeared(current_task(), READ(regs, di));
		break;
	case SYS_COMPAT_IOCTL:
		if (loop_command_of(READ(regs, cx)) != LOOP_COMMAND_COUNT)
			ioctl_returned(result);
		break;
	case SYS_COMPAT_SOCKET:
		if (result >= 0 && is_compat(current_task()))
			receiver_appeared(current_task(), result);
		break;
	case SYS_COMPAT_BIND:
		if (result >= 0 && is_compat(current_task()))
			receiver_appeared(current_task(), READ(regs, bx));
		break;
	}
	return 0;
}
