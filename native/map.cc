// SPDX-License-Identifier: Apache-2.0
#include "map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "arguments.h"
#include "bpf_fd.h"
#include "errors.h"

namespace loopwarden
{

constexpr char Map::kName[];
const napi_type_tag Map::kTag = {0x6c6f6f7077617264, 0x656e000000000004};

namespace
{

constexpr uint32_t kBatch = 1024;
// As many as the kernel lets a program use (MAX_USED_MAPS).
constexpr uint32_t kProgramMaps = 64;

struct Entries {
	std::vector<uint8_t> keys;
	std::vector<uint8_t> values;
	size_t count = 0;
};

bool IsPerCpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

// Queues and stacks have no keys, and the kernel refuses a pointer to none.
const void *KeyOrNull(const Bytes &key)
{
	return key.size ? key.data : nullptr;
}

// 0, or an errno when the kernel or the map type has no batches.
int ReadByBatch(const MapState &map, Entries &entries)
{
	const size_t value_bytes = map.ValueBytes();
	uint32_t room = std::min(kBatch, map.max_entries);
	// A hash's cursor is a bucket number, whatever the key's size.
	std::vector<uint8_t> cursor(std::max<size_t>(map.key_size, sizeof(uint32_t)));
	bool started = false;
	std::vector<uint8_t> keys, values;
	for (;;) {
		uint32_t count = room;
		keys.resize(room * size_t{map.key_size});
		values.resize(room * value_bytes);
		int result = bpf_map_lookup_batch(map.fd.Get(), started ? cursor.data() : nullptr,
						  cursor.data(), keys.data(), values.data(), &count,
						  nullptr);
		int error = result ? errno : 0;
		// One bucket holds more entries than there is room for.
		if (error == ENOSPC && room < map.max_entries) {
			room = std::min(map.max_entries, room * 2);
			continue;
		}
		if (error && error != ENOENT)
			return error;
		entries.keys.insert(entries.keys.end(), keys.begin(),
				    keys.begin() + count * size_t{map.key_size});
		entries.values.insert(entries.values.end(), values.begin(),
				      values.begin() + count * value_bytes);
		entries.count += count;
		started = true;
		if (error == ENOENT)
			return 0;
	}
}

int ReadByKey(const MapState &map, Entries &entries)
{
	const size_t value_bytes = map.ValueBytes();
	std::vector<uint8_t> key(map.key_size), next(map.key_size), value(value_bytes);
	bool started = false;
	// Bounded: deletions under way send the kernel back to the first key.
	for (uint64_t step = 0; step < map.max_entries; step++) {
		if (bpf_map_get_next_key(map.fd.Get(), started ? key.data() : nullptr, next.data()))
			return errno == ENOENT ? 0 : errno;
		started = true;
		key = next;
		if (bpf_map_lookup_elem(map.fd.Get(), key.data(), value.data())) {
			if (errno == ENOENT)
				continue;
			return errno;
		}
		entries.keys.insert(entries.keys.end(), key.begin(), key.end());
		entries.values.insert(entries.values.end(), value.begin(), value.end());
		entries.count++;
	}
	return 0;
}

} // namespace

void Map::Register(Napi::Env env)
{
	Define(env, {
			Get<&Map::Name>("name"),
			Get<&Map::Id>("id"),
			Get<&Map::Type>("type"),
			Get<&Map::KeySize>("keySize"),
			Get<&Map::ValueSize>("valueSize"),
			Get<&Map::MaxEntries>("maxEntries"),
			Get<&Map::PerCpu>("perCpu"),
			Get<&Map::Cpus>("cpus"),
			Call<&Map::Lookup>("get"),
			Call<&Map::Put>("put"),
			Call<&Map::Delete>("delete"),
			Call<&Map::Entries>("entries"),
			Call<&Map::Pin>("pin"),
		    });
}

Napi::Value Map::FromFd(Napi::Env env, const char *operation, UniqueFd fd, const std::string &name)
{
	struct bpf_map_info map = {};
	__u32 size = sizeof(map);
	if (bpf_obj_get_info_by_fd(fd.Get(), &map, &size))
		ThrowErrno(env, operation, errno, name);
	auto state = std::make_unique<MapState>();
	state->fd = std::move(fd);
	state->name = name.empty() ? map.name : name;
	state->id = map.id;
	state->type = map.type;
	state->key_size = map.key_size;
	state->value_size = map.value_size;
	state->max_entries = map.max_entries;
	state->per_cpu = IsPerCpu(map.type);
	state->cpus = 1;
	if (state->per_cpu) {
		int cpus = libbpf_num_possible_cpus();
		if (cpus <= 0)
			ThrowErrno(env, operation, cpus < 0 ? -cpus : EINVAL, name);
		state->cpus = cpus;
	}
	return Make(env, std::move(state));
}

Napi::Value Map::OpenPinned(const Napi::CallbackInfo &info)
{
	std::string path = PathArgument(info, 0, "path");
	return FromFd(info.Env(), "openPinnedMap",
		      OpenPin(info.Env(), "openPinnedMap", path, "map"), "");
}

// Which map a program uses its own ids tell, whatever became of the pins.
Napi::Value Map::OpenOfProgram(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	auto program = static_cast<uint32_t>(NumberArgument(info, 0, "program", 0, UINT32_MAX));
	std::string name = TextArgument(info, 1, "name");
	LogCapture capture;
	UniqueFd fd(bpf_prog_get_fd_by_id(program));
	if (!fd && errno == ENOENT)
		return env.Null();
	std::vector<uint32_t> ids(kProgramMaps);
	struct bpf_prog_info about = {};
	uint32_t size = sizeof(about);
	about.nr_map_ids = ids.size();
	about.map_ids = reinterpret_cast<uintptr_t>(ids.data());
	if (!fd || bpf_obj_get_info_by_fd(fd.Get(), &about, &size))
		ThrowErrno(env, "openMapOfProgram", errno, name);
	ids.resize(std::min<size_t>(ids.size(), about.nr_map_ids));
	for (uint32_t id : ids) {
		UniqueFd map(bpf_map_get_fd_by_id(id));
		struct bpf_map_info found = {};
		size = sizeof(found);
		if (!map || bpf_obj_get_info_by_fd(map.Get(), &found, &size))
			ThrowErrno(env, "openMapOfProgram", errno, name);
		if (name.substr(0, BPF_OBJ_NAME_LEN - 1) == found.name)
			return FromFd(env, "openMapOfProgram", std::move(map), name);
	}
	return env.Null();
}

Napi::Value Map::Name(const Napi::CallbackInfo &info)
{
	return Napi::String::New(info.Env(), state_->name);
}

Napi::Value Map::Id(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), state_->id);
}

Napi::Value Map::Type(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), state_->type);
}

Napi::Value Map::KeySize(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), state_->key_size);
}

Napi::Value Map::ValueSize(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), state_->value_size);
}

Napi::Value Map::MaxEntries(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), state_->max_entries);
}

Napi::Value Map::PerCpu(const Napi::CallbackInfo &info)
{
	return Napi::Boolean::New(info.Env(), state_->per_cpu);
}

Napi::Value Map::Cpus(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), state_->cpus);
}

Napi::Value Map::Lookup(const Napi::CallbackInfo &info)
{
	Bytes key = BytesArgument(info, 0, "key", state_->key_size);
	std::vector<uint8_t> value(state_->ValueBytes());
	if (bpf_map_lookup_elem(state_->fd.Get(), KeyOrNull(key), value.data())) {
		if (errno == ENOENT)
			return info.Env().Null();
		ThrowErrno(info.Env(), "get", errno, state_->name);
	}
	return Napi::Buffer<uint8_t>::Copy(info.Env(), value.data(), value.size());
}

Napi::Value Map::Put(const Napi::CallbackInfo &info)
{
	Bytes key = BytesArgument(info, 0, "key", state_->key_size);
	Bytes value = BytesArgument(info, 1, "value", state_->ValueBytes());
	uint64_t flags = BPF_ANY;
	if (!info[2].IsUndefined()) {
		std::string exclusive = TextArgument(info, 2, "exclusive");
		if (exclusive == "new")
			flags = BPF_NOEXIST;
		else if (exclusive == "existing")
			flags = BPF_EXIST;
		else
			ThrowType(info.Env(), "exclusive must be 'new' or 'existing'");
	}
	if (bpf_map_update_elem(state_->fd.Get(), KeyOrNull(key), value.data, flags))
		ThrowErrno(info.Env(), "put", errno, state_->name);
	return info.Env().Undefined();
}

Napi::Value Map::Delete(const Napi::CallbackInfo &info)
{
	Bytes key = BytesArgument(info, 0, "key", state_->key_size);
	if (!bpf_map_delete_elem(state_->fd.Get(), KeyOrNull(key)))
		return Napi::Boolean::New(info.Env(), true);
	if (errno != ENOENT)
		ThrowErrno(info.Env(), "delete", errno, state_->name);
	return Napi::Boolean::New(info.Env(), false);
}

Napi::Value Map::Entries(const Napi::CallbackInfo &info)
{
	struct Entries entries;
	int error = ReadByBatch(*state_, entries);
	if (error) {
		entries = {};
		error = ReadByKey(*state_, entries);
	}
	if (error)
		ThrowErrno(info.Env(), "entries", error, state_->name);
	Napi::Object result = Napi::Object::New(info.Env());
	result.Set("count", Napi::Number::New(info.Env(), entries.count));
	result.Set("keys", Napi::Buffer<uint8_t>::Copy(info.Env(), entries.keys.data(),
						       entries.keys.size()));
	result.Set("values", Napi::Buffer<uint8_t>::Copy(info.Env(), entries.values.data(),
							 entries.values.size()));
	return result;
}

Napi::Value Map::Pin(const Napi::CallbackInfo &info)
{
	PinFd(info.Env(), "pin", state_->fd.Get(), PathArgument(info, 0, "path"));
	return info.Env().Undefined();
}

} // namespace loopwarden
