// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One empty program for each kind of link, loaded one at a time by `doctor` to see what this kernel
 * allows: a config option says less than a refusal.
 */
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PROBE(section, name)                                                                       \
	SEC("?" section)                                                                           \
	int name(void *context)                                                                    \
	{                                                                                          \
		return 0;                                                                          \
	}

PROBE("fentry/security_sock_rcv_skb", probe_fentry)
PROBE("fexit/security_sock_rcv_skb", probe_fexit)
PROBE("fmod_ret/security_sock_rcv_skb", probe_fmod_ret)
PROBE("lsm/socket_sock_rcv_skb", probe_lsm)
PROBE("kprobe/security_sock_rcv_skb", probe_kprobe)
PROBE("tp_btf/sys_exit", probe_tp_btf)
PROBE("socket", probe_socket_filter)
PROBE("iter/task_file", probe_iter)
