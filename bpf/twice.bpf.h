/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef LOOPWARDEN_TWICE_BPF_H
#define LOOPWARDEN_TWICE_BPF_H

#include <bpf/bpf_tracing.h>

/*
 * Two programs that do one work between them, each behind a gate of its own (bpf/gates.bpf.c). `done`: the first one
 * has done it; false where to do it twice is to do it once.
 */
#define TWICE(section, function, at, done, work, ...)                                              \
	SEC("?" section)                                                                           \
	int BPF_PROG(function##_##at, __VA_ARGS__)                                                 \
	{                                                                                          \
		work;                                                                              \
		return 0;                                                                          \
	}                                                                                          \
	SEC("?" section)                                                                           \
	int BPF_PROG(function##_again_##at, __VA_ARGS__)                                           \
	{                                                                                          \
		if (!(done))                                                                       \
			work;                                                                      \
		return 0;                                                                          \
	}

#endif
