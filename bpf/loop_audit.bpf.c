// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Loop ioctls and new uevent sockets: by the driver's own functions, or at the system call's boundary.
 *
 * lo_ioctl(bdev, mode, cmd, arg), lo_compat_ioctl and loop_control_ioctl(file, cmd, arg) of
 * drivers/block/loop.c are called for nothing but loop devices, whatever the path of the node: other
 * system calls pay nothing. lo_compat_ioctl hands all but two commands to lo_ioctl. They miss what
 * the kernel answers before it asks the driver.
 *
 * sys_enter and sys_exit fire for every ioctl of the host that any loop device can get
 * (entry_SYSCALL_64 → do_syscall_64 → trace_sys_enter; since 2.6), on every kernel, even where
 * trampolines and kprobes are locked down. They cost every other system call of the host the slow
 * entry path, and they see the descriptor before the kernel does: when a second thread swaps it in
 * between, an attachment is followed to its device by the uevent it sends, and any other call is
 * attributed to the file that was there at entry.
 */
#define DIRECT_READS
#include "ioctl.bpf.h"
#include "twice.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline bool is_compat(struct task_struct *task)
{
	return READ(task, thread_info.status) & TS_COMPAT;
}

/*
 * The open file that the current system call names, if it is one of this block device: the driver is not
 * told, yet the opener is to be known. Linux before 5.15 has no bpf_task_pt_regs.
 */
static __always_inline struct file *file_of_call(struct task_struct *task,
						 struct block_device *bdev)
{
	struct pt_regs *regs;
	struct inode *host;
	struct file *file;

	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return NULL;
	regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	file = file_of_fd(task, is_compat(task) ? READ(regs, bx) : READ(regs, di));
	host = READ(file, f_mapping, host);
	return (void *)host - bpf_core_field_offset(struct bdev_inode, vfs_inode) == (void *)bdev
		   ? file
		   : NULL;
}

static __always_inline void device_ioctl_entered(struct block_device *bdev, __u32 number,
						 __u64 argument)
{
	struct task_struct *task = current_task();
	struct loop_target target = {};
	__u32 command = loop_command_of(number);

	if (command == LOOP_COMMAND_COUNT || is_control(command) ||
	    !loop_target_of_disk(READ(bdev, bd_disk), &target))
		return;
	target.file = file_of_call(task, bdev);
	ioctl_entered(&target, command, argument,
		      is_compat(task) ? SYSCALL_ARCH_COMPAT : SYSCALL_ARCH_NATIVE);
}

/* The two commands that lo_compat_ioctl does itself: their struct differs. */
static __always_inline void compat_ioctl_entered(struct block_device *bdev, __u32 number,
						 __u64 argument)
{
	__u32 command = loop_command_of(number);

	if (command == LOOP_COMMAND_LOOP_SET_STATUS || command == LOOP_COMMAND_LOOP_GET_STATUS)
		device_ioctl_entered(bdev, number, argument);
}

static __always_inline void control_ioctl_entered(struct file *file, __u32 number, __u64 argument)
{
	struct loop_target target = {.file = file};
	__u32 command = loop_command_of(number);

	if (command != LOOP_COMMAND_COUNT && is_control(command))
		ioctl_entered(&target, command, argument,
			      is_compat(current_task()) ? SYSCALL_ARCH_COMPAT
							: SYSCALL_ARCH_NATIVE);
}

#define LO_IOCTL_ARGUMENTS                                                                         \
	struct block_device *bdev, int mode, unsigned int number, unsigned long argument
#define CONTROL_IOCTL_ARGUMENTS struct file *file, unsigned int number, unsigned long argument

TWICE("fentry/lo_ioctl", lo_ioctl, fentry, is_call_under_way(),
      device_ioctl_entered(bdev, number, argument), LO_IOCTL_ARGUMENTS)
TWICE("fexit/lo_ioctl", lo_ioctl, fexit, !is_call_under_way(),
      ioctl_returned(result, CANARY_DEVICE_IOCTL_RETURN), LO_IOCTL_ARGUMENTS, int result)
TWICE("fentry/lo_compat_ioctl", lo_compat_ioctl, fentry, is_call_under_way(),
      compat_ioctl_entered(bdev, number, argument), LO_IOCTL_ARGUMENTS)
TWICE("fexit/lo_compat_ioctl", lo_compat_ioctl, fexit, !is_call_under_way(),
      ioctl_returned(result, CANARY_DEVICE_IOCTL_RETURN), LO_IOCTL_ARGUMENTS, int result)
TWICE("fentry/loop_control_ioctl", loop_control_ioctl, fentry, is_call_under_way(),
      control_ioctl_entered(file, number, argument), CONTROL_IOCTL_ARGUMENTS)
TWICE("fexit/loop_control_ioctl", loop_control_ioctl, fexit, !is_call_under_way(),
      ioctl_returned((int)result, CANARY_CONTROL_IOCTL_RETURN), CONTROL_IOCTL_ARGUMENTS,
      long result)

SEC("?kprobe/lo_ioctl")
int BPF_KPROBE(lo_ioctl_kprobe, struct block_device *bdev, int mode, unsigned int number,
	       unsigned long argument)
{
	device_ioctl_entered(bdev, number, argument);
	return 0;
}

SEC("?kretprobe/lo_ioctl")
int BPF_KRETPROBE(lo_ioctl_kretprobe, int result)
{
	ioctl_returned(result, CANARY_DEVICE_IOCTL_RETURN);
	return 0;
}

SEC("?kprobe/lo_compat_ioctl")
int BPF_KPROBE(lo_compat_ioctl_kprobe, struct block_device *bdev, int mode, unsigned int number,
	       unsigned long argument)
{
	compat_ioctl_entered(bdev, number, argument);
	return 0;
}

SEC("?kretprobe/lo_compat_ioctl")
int BPF_KRETPROBE(lo_compat_ioctl_kretprobe, int result)
{
	ioctl_returned(result, CANARY_DEVICE_IOCTL_RETURN);
	return 0;
}

SEC("?kprobe/loop_control_ioctl")
int BPF_KPROBE(loop_control_ioctl_kprobe, struct file *file, unsigned int number,
	       unsigned long argument)
{
	control_ioctl_entered(file, number, argument);
	return 0;
}

SEC("?kretprobe/loop_control_ioctl")
int BPF_KRETPROBE(loop_control_ioctl_kretprobe, long result)
{
	ioctl_returned((int)result, CANARY_CONTROL_IOCTL_RETURN);
	return 0;
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
	if (!file || !loop_target_of_file(file, &target) || !target.loop != is_control(command)) {
		/* Another thread may make it a loop device's before the kernel looks: an attachment would say so. */
		if (!takes_life(command))
			return 0;
		target = (struct loop_target){.file = file};
	}
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
	struct filter_settings *config = filter_settings();
	struct file *file = uevent_socket_of(task, fd);
	struct receiver_event *record;
	struct user_namespace *ns;
	struct socket *socket;

	if (!file || !config || is_canary(config, CANARY_RECEIVER_APPEARANCE))
		return;
	/* Before it is known to anybody: the next uevent may be its own container's. */
	socket = READ(file, private_data);
	receiver_made(READ(socket, sk), task, config);
	record = bpf_ringbuf_reserve(&receiver_events, sizeof(*record), 0);
	if (!record) {
		count_drop(DROP_REASON_ANNOUNCEMENTS_FULL);
		return;
	}
	ns = READ(file, f_cred, user_ns);
	fill_header(&record->header, EVENT_KIND_RECEIVER, sizeof(*record), 0,
		    bpf_ktime_get_boot_ns());
	record->pid = READ(task, tgid);
	record->fd = fd;
	record->userns_inum = READ(ns, ns.inum);
	record->userns_level = READ(ns, level);
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
	count(&event_counts, EVENT_KIND_RECEIVER);
}

static __always_inline enum canary return_canary(__u32 command)
{
	return is_control(command) ? CANARY_CONTROL_IOCTL_RETURN : CANARY_DEVICE_IOCTL_RETURN;
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
	__u32 command;

	switch (READ(regs, orig_ax)) {
	case SYS_IOCTL:
		command = loop_command_of(READ(regs, si));
		if (command != LOOP_COMMAND_COUNT)
			ioctl_returned(result, return_canary(command));
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
		command = loop_command_of(READ(regs, cx));
		if (command != LOOP_COMMAND_COUNT)
			ioctl_returned(result, return_canary(command));
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

/*
 * netlink_bind (net/netlink/af_netlink.c): where trampolines hide, no new socket is unfiltered, yet one that
 * is on the allow-list is to be found at once. Which descriptor it is bind(2) knows.
 */
SEC("?fexit/netlink_bind")
int BPF_PROG(receiver_bound_fexit, struct socket *socket, void *address, int length, int result)
{
	struct sock *sock = READ(socket, sk);
	struct task_struct *task = current_task();
	struct pt_regs *regs;

	if (result || READ(sock, sk_protocol) != NETLINK_KOBJECT_UEVENT ||
	    !bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return 0;
	regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	receiver_appeared(task, is_compat(task) ? READ(regs, bx) : READ(regs, di));
	return 0;
}
