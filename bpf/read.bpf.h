/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads of kernel memory. READ(pointer, a, b) is pointer->a->b, relocated by CO-RE, and 0 where a
 * pointer on the way leads nowhere.
 *
 * bpf_rdonly_cast (6.2 and newer) tells the verifier what a pointer points to, so that a read is
 * one load; a call of bpf_probe_read_kernel costs some thirty times as much, and a record needs
 * about a hundred reads. The agent sets the two constants before loading, and the verifier drops
 * the branch that is not taken.
 *
 * Only an object that defines DIRECT_READS has the cast, and only one object may: libbpf's linker
 * (up to 1.1) joins no kernel function that two objects name.
 */
#ifndef LOOPWARDEN_READ_BPF_H
#define LOOPWARDEN_READ_BPF_H

#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#ifdef DIRECT_READS

const volatile bool direct_reads = false;
/* Types of a module are not in the kernel's own BTF: a cast cannot name them. */
const volatile bool loop_is_built_in = false;

extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak;

#define CAST(pointer)                                                                              \
	((typeof(pointer))bpf_rdonly_cast((const void *)(pointer),                                 \
					  bpf_core_type_id_kernel(typeof(*(pointer)))))

#define READ_IF(direct, pointer, ...)                                                              \
	({                                                                                         \
		___type((pointer), __VA_ARGS__) value_read;                                        \
		if (direct)                                                                        \
			value_read = ___arrow(CAST(pointer), __VA_ARGS__);                         \
		else                                                                               \
			BPF_CORE_READ_INTO(&value_read, pointer, __VA_ARGS__);                     \
		value_read;                                                                        \
	})

#define READ(pointer, ...)            READ_IF(direct_reads, pointer, __VA_ARGS__)
#define READ_TYPED_LOOP(pointer, ...) READ_IF(direct_reads &&loop_is_built_in, pointer, __VA_ARGS__)

#else

#define READ(pointer, ...)            BPF_CORE_READ(pointer, __VA_ARGS__)
#define READ_TYPED_LOOP(pointer, ...) BPF_CORE_READ(pointer, __VA_ARGS__)

#endif

/* A field of struct loop_device, also on a kernel that has no types for its module. */
#define READ_LOOP(pointer, field)                                                                  \
	({                                                                                         \
		___type((pointer), field) field_read;                                              \
		if (bpf_core_type_exists(struct loop_device))                                      \
			field_read = READ_TYPED_LOOP(pointer, field);                              \
		else                                                                               \
			bpf_probe_read_kernel(                                                     \
			    &field_read, sizeof(field_read),                                       \
			    &((struct loop_device___without_btf *)(pointer))->field);              \
		field_read;                                                                        \
	})

/* As a number: functions of their own take no pointers. Read back from the stack, a pointer is one. */
static __always_inline __u64 plain_address(const void *pointer)
{
	__u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), &pointer);
	return address;
}

#endif
