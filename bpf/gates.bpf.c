// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The gates: the only programs that are ever attached to the kernel. A gate looks whether the call is any of
 * ours and passes it on (bpf_tail_call) to the set of programs that acts now. So a set is replaced by one
 * store into `acting`: no moment without a program, and no call that two of them see.
 *
 * Gates, their links, their slots and `acting` are pinned: they outlive the agent, and the next one only
 * fills the slots of the set that does not act, and makes it act. They are to change hardly ever; when they
 * do, GATES_VERSION does too.
 */
#include "kernel_types.h"
#include "loop_command.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} acting SEC(".maps");

/* Which of the two slots: 0 or 1; a number without a slot when none acts. */
static __always_inline __u32 acting_set(void)
{
	__u32 zero = 0, *set = bpf_map_lookup_elem(&acting, &zero);

	return set ? *set : ~0U;
}

/*
 * A kernel program may be called only by one attached to the same function, so each gate has slots of its own.
 * `passes` when none acts: what a kernel without us would do.
 */
#define GATE(section, name, is_ours, passes)                                                       \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_PROG_ARRAY);                                             \
		__uint(max_entries, 2);                                                            \
		__type(key, __u32);                                                                \
		__type(value, __u32);                                                              \
	} name##_slots SEC(".maps");                                                               \
	SEC("?" section)                                                                           \
	int name##_gate(unsigned long long *context)                                               \
	{                                                                                          \
		if (is_ours)                                                                       \
			bpf_tail_call(context, &name##_slots, acting_set());                       \
		return passes;                                                                     \
	}

/*
 * Two gates on one function, each with programs of its own. The kernel leaves a tracing program out while it is
 * active on the processor (__bpf_prog_enter_recur in kernel/bpf/trampoline.c), as it is when a task was preempted in
 * the midst of it: then the call goes through the second. That check is the gate's, and what is behind it may keep its
 * stack per processor (jits_use_priv_stack): a program behind two gates would be entered twice with one stack.
 */
#define GATES(section, function, at, is_ours)                                                      \
	GATE(section, function##_##at, is_ours, 0)                                                 \
	GATE(section, function##_again_##at, is_ours, 0)

/* Two loads for every packet of the host that is not a uevent's. */
static __always_inline bool is_uevent_socket(const struct sock *sock)
{
	return sock->__sk_common.skc_family == AF_NETLINK &&
	       sock->sk_protocol == NETLINK_KOBJECT_UEVENT;
}

static __always_inline bool is_netlink_uevent(const struct socket *socket)
{
	return is_uevent_socket(socket->sk);
}

static __always_inline bool may_be_loop_ioctl(const struct pt_regs *regs, unsigned long number)
{
	if (number == SYS_IOCTL)
		return loop_command_of(BPF_CORE_READ(regs, si)) != LOOP_COMMAND_COUNT;
	return number == SYS_COMPAT_IOCTL &&
	       loop_command_of(BPF_CORE_READ(regs, cx)) != LOOP_COMMAND_COUNT;
}

static __always_inline bool may_concern_us(const struct pt_regs *regs)
{
	unsigned long number = BPF_CORE_READ(regs, orig_ax);

	return number == SYS_SOCKET || number == SYS_BIND || number == SYS_COMPAT_SOCKET ||
	       number == SYS_COMPAT_BIND || may_be_loop_ioctl(regs, number);
}

GATES("fentry/lo_ioctl", lo_ioctl, fentry, true)
GATES("fexit/lo_ioctl", lo_ioctl, fexit, true)
GATES("fentry/lo_compat_ioctl", lo_compat_ioctl, fentry, true)
GATES("fexit/lo_compat_ioctl", lo_compat_ioctl, fexit, true)
GATES("fentry/loop_control_ioctl", loop_control_ioctl, fentry, true)
GATES("fexit/loop_control_ioctl", loop_control_ioctl, fexit, true)
GATE("kprobe/lo_ioctl", lo_ioctl_kprobe, true, 0)
GATE("kretprobe/lo_ioctl", lo_ioctl_kretprobe, true, 0)
GATE("kprobe/lo_compat_ioctl", lo_compat_ioctl_kprobe, true, 0)
GATE("kretprobe/lo_compat_ioctl", lo_compat_ioctl_kretprobe, true, 0)
GATE("kprobe/loop_control_ioctl", loop_control_ioctl_kprobe, true, 0)
GATE("kretprobe/loop_control_ioctl", loop_control_ioctl_kretprobe, true, 0)
GATE("tp_btf/sys_enter", syscall_enter_tp_btf,
     may_be_loop_ioctl((const struct pt_regs *)context[0], context[1]), 0)
GATE("tp_btf/sys_exit", syscall_exit_tp_btf, may_concern_us((const struct pt_regs *)context[0]), 0)
GATE("fexit/netlink_bind", receiver_bound_fexit,
     is_netlink_uevent((const struct socket *)context[0]), 0)
GATES("fexit/dev_uevent", uevent_emission, fexit, true)
GATES("fentry/bd_prepare_to_claim", bd_prepare_to_claim, fentry, true)
GATES("fexit/bd_link_disk_holder", bd_link_disk_holder, fexit, true)
GATES("fexit/bd_unlink_disk_holder", bd_unlink_disk_holder, fexit, true)
GATE("kprobe/bd_prepare_to_claim", bd_prepare_to_claim_kprobe, true, 0)
GATE("kprobe/bd_link_disk_holder", bd_link_disk_holder_kprobe, true, 0)
GATE("kprobe/bd_unlink_disk_holder", bd_unlink_disk_holder_kprobe, true, 0)
GATES("fexit/create_user_ns", create_user_ns, fexit, true)
GATE("kprobe/setup_userns_sysctls", setup_userns_sysctls_kprobe, true, 0)
GATES("fmod_ret/security_sock_rcv_skb", uevent_delivery, fmod_ret,
      is_uevent_socket((const struct sock *)context[0]))
GATE("lsm/socket_sock_rcv_skb", uevent_delivery_lsm,
     is_uevent_socket((const struct sock *)context[0]), 0)
GATE("socket", uevent_delivery_socket, true, -1)
