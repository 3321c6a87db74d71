// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_GLOBAL_H
#define LOOPWARDEN_GLOBAL_H

#include <cstdint>
#include <string>

struct bpf_object;

namespace loopwarden
{

// One integer in .rodata as the object's BTF describes it.
struct Global {
	uint8_t *address;
	uint32_t size;
	bool is_signed;
	bool is_boolean;
};

// 0, or ENOENT, or EINVAL when it is no integer of 1, 2, 4 or 8 bytes.
int FindGlobal(struct bpf_object *object, const std::string &name, Global &global);

} // namespace loopwarden

#endif
