// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Every loaded BPF program, as a line of text each: its id and its name (bpf_iter bpf_prog,
 * kernel/bpf/prog_iter.c, 5.9 and newer). BPF_PROG_GET_FD_BY_ID would tell the same, but to
 * CAP_SYS_ADMIN only.
 */
#include "read.bpf.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("?iter/bpf_prog")
int list_programs(struct bpf_iter__bpf_prog *context)
{
	struct bpf_prog *program = context->prog;
	char name[16] = {};

	if (!program)
		return 0;
	BPF_CORE_READ_INTO(&name, program, aux, name);
	BPF_SEQ_PRINTF(context->meta->seq, "%u %s\n", READ(program, aux, id), name);
	return 0;
}
