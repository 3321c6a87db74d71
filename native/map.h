// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_MAP_H
#define LOOPWARDEN_MAP_H

#include <cstdint>
#include <string>

#include "unique_fd.h"
#include "wrapped.h"

namespace loopwarden
{

struct MapState {
	UniqueFd fd;
	std::string name;
	uint32_t id;
	uint32_t type;
	uint32_t key_size;
	uint32_t value_size;
	uint32_t max_entries;
	bool per_cpu;
	uint32_t cpus;

	// What the kernel reads and writes for one value.
	size_t ValueBytes() const
	{
		return per_cpu ? (size_t{value_size} + 7) / 8 * 8 * cpus : value_size;
	}
};

class Map : public Wrapped<Map, MapState>
{
      public:
	static constexpr char kName[] = "BpfMap";
	static const napi_type_tag kTag;

	using Wrapped::Wrapped;
	static void Register(Napi::Env env);
	// An empty name: the kernel's own, cut at 15 characters.
	static Napi::Value FromFd(Napi::Env env, const char *operation, UniqueFd fd,
				  const std::string &name);
	static Napi::Value OpenPinned(const Napi::CallbackInfo &info);
	static Napi::Value OpenOfProgram(const Napi::CallbackInfo &info);

      private:
	Napi::Value Name(const Napi::CallbackInfo &info);
	Napi::Value Id(const Napi::CallbackInfo &info);
	Napi::Value Type(const Napi::CallbackInfo &info);
	Napi::Value KeySize(const Napi::CallbackInfo &info);
	Napi::Value ValueSize(const Napi::CallbackInfo &info);
	Napi::Value MaxEntries(const Napi::CallbackInfo &info);
	Napi::Value PerCpu(const Napi::CallbackInfo &info);
	Napi::Value Cpus(const Napi::CallbackInfo &info);
	Napi::Value Lookup(const Napi::CallbackInfo &info);
	Napi::Value Put(const Napi::CallbackInfo &info);
	Napi::Value Delete(const Napi::CallbackInfo &info);
	Napi::Value Entries(const Napi::CallbackInfo &info);
	Napi::Value Pin(const Napi::CallbackInfo &info);
};

} // namespace loopwarden

#endif
