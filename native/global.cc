// SPDX-License-Identifier: Apache-2.0
#include "global.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <cerrno>

namespace loopwarden
{
namespace
{

constexpr char kSection[] = ".rodata";

uint8_t *SectionData(struct bpf_object *object, size_t &size)
{
	const std::string suffix = kSection;
	struct bpf_map *map;
	bpf_object__for_each_map(map, object)
	{
		// libbpf puts the object's name before the section's.
		std::string name = bpf_map__name(map);
		if (name.size() < suffix.size() ||
		    name.compare(name.size() - suffix.size(), suffix.size(), suffix) != 0)
			continue;
		// Const in some versions of libbpf; its own skeletons write there as well.
		return static_cast<uint8_t *>(
		    const_cast<void *>(bpf_map__initial_value(map, &size)));
	}
	return nullptr;
}

int Describe(const struct btf *btf, uint32_t type_id, Global &global)
{
	const struct btf_type *type = btf__type_by_id(btf, type_id);
	while (type && (btf_is_mod(type) || btf_is_typedef(type)))
		type = btf__type_by_id(btf, type->type);
	if (!type || !(btf_is_int(type) || btf_is_any_enum(type)))
		return EINVAL;
	global.size = type->size;
	if (btf_is_int(type)) {
		global.is_signed = btf_int_encoding(type) & BTF_INT_SIGNED;
		global.is_boolean = btf_int_encoding(type) & BTF_INT_BOOL;
	} else {
		global.is_signed = btf_kflag(type);
		global.is_boolean = false;
	}
	switch (global.size) {
	case 1:
	case 2:
	case 4:
	case 8:
		return 0;
	default:
		return EINVAL;
	}
}

} // namespace

int FindGlobal(struct bpf_object *object, const std::string &name, Global &global)
{
	const struct btf *btf = bpf_object__btf(object);
	size_t section_size = 0;
	uint8_t *section_data = SectionData(object, section_size);
	if (!btf || !section_data)
		return ENOENT;
	int32_t section_id = btf__find_by_name_kind(btf, kSection, BTF_KIND_DATASEC);
	if (section_id < 0)
		return ENOENT;
	const struct btf_type *section = btf__type_by_id(btf, section_id);
	const struct btf_var_secinfo *place = btf_var_secinfos(section);
	for (int i = 0; i < btf_vlen(section); i++, place++) {
		const struct btf_type *variable = btf__type_by_id(btf, place->type);
		if (!variable || !btf_is_var(variable))
			continue;
		const char *variable_name = btf__name_by_offset(btf, variable->name_off);
		if (!variable_name || name != variable_name)
			continue;
		int error = Describe(btf, variable->type, global);
		if (error)
			return error;
		if (uint64_t{place->offset} + global.size > section_size)
			return EINVAL;
		global.address = section_data + place->offset;
		return 0;
	}
	return ENOENT;
}

} // namespace loopwarden
