/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which ioctl numbers are the loop driver's, and the system calls they come by. */
#ifndef LOOPWARDEN_LOOP_COMMAND_BPF_H
#define LOOPWARDEN_LOOP_COMMAND_BPF_H

#include "kernel_types.h"
#include "event.h"
#include <bpf/bpf_helpers.h>

#define SYS_IOCTL         16
#define SYS_SOCKET        41
#define SYS_BIND          49
#define SYS_COMPAT_IOCTL  54
#define SYS_COMPAT_SOCKET 359
#define SYS_COMPAT_BIND   361

/* include/uapi/linux/loop.h: two dense runs of numbers. */
#define LOOP_DEVICE_COMMANDS  0x4C00
#define LOOP_CONTROL_COMMANDS 0x4C80

/* LOOP_COMMAND_COUNT for any other ioctl. */
static __always_inline __u32 loop_command_of(__u32 number)
{
	__u32 command = number - LOOP_DEVICE_COMMANDS;

	if (command <= LOOP_COMMAND_LOOP_CONFIGURE)
		return command;
	command = number - LOOP_CONTROL_COMMANDS;
	if (command <= LOOP_COMMAND_LOOP_CTL_GET_FREE - LOOP_COMMAND_LOOP_CTL_ADD)
		return command + LOOP_COMMAND_LOOP_CTL_ADD;
	return LOOP_COMMAND_COUNT;
}

static __always_inline bool is_control(__u32 command)
{
	return command >= LOOP_COMMAND_LOOP_CTL_ADD;
}

#endif
