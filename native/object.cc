// SPDX-License-Identifier: Apache-2.0
#include "object.h"

#include <bpf/libbpf.h>

#include <csignal>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "arguments.h"
#include "bpf_fd.h"
#include "elf_check.h"
#include "errors.h"
#include "global.h"
#include "map.h"
#include "program.h"

namespace loopwarden
{

constexpr char Object::kName[];
const napi_type_tag Object::kTag = {0x6c6f6f7077617264, 0x656e000000000001};

namespace
{

// Bits of the value as the kernel stores it; throws when it doesn't fit.
uint64_t ValueFor(const Napi::CallbackInfo &info, size_t index, const Global &global)
{
	bool negative = false;
	uint64_t magnitude = 0;
	const Napi::Value value = info[index];
	if (value.IsBigInt()) {
		int sign = 0;
		size_t words = 1;
		napi_status status =
		    napi_get_value_bigint_words(info.Env(), value, &sign, &words, &magnitude);
		if (status != napi_ok || words > 1)
			ThrowRange(info.Env(), "value doesn't fit 64 bits");
		if (words == 0)
			magnitude = 0;
		negative = sign && magnitude;
	} else if (value.IsNumber()) {
		double number = value.As<Napi::Number>().DoubleValue();
		constexpr double kSafe = 9007199254740991.0;
		if (!(std::fabs(number) <= kSafe) || std::trunc(number) != number)
			ThrowRange(info.Env(), "value must be a safe integer");
		negative = number < 0;
		magnitude = static_cast<uint64_t>(std::fabs(number));
	} else {
		ThrowType(info.Env(), "value must be a bigint or a number");
	}
	const unsigned bits = global.is_boolean ? 1 : global.size * 8;
	const uint64_t most = bits == 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1;
	const uint64_t limit = !global.is_signed ? (negative ? 0 : most)
			       : negative        ? most / 2 + 1
						 : most / 2;
	if (magnitude > limit)
		ThrowRange(info.Env(), "value doesn't fit " + std::to_string(bits) +
					   (global.is_signed ? " signed bits" : " bits"));
	return negative ? -magnitude : magnitude;
}

Global RequireGlobal(Napi::Env env, const char *operation, struct bpf_object *object,
		     const std::string &name)
{
	Global global;
	int error = FindGlobal(object, name, global);
	if (error)
		ThrowReason(env, operation, error, name,
			    error == ENOENT ? "no such symbol in .rodata" : "not an integer");
	return global;
}

} // namespace

void Object::Register(Napi::Env env)
{
	Define(env, {
			Get<&Object::Programs>("programs"),
			Get<&Object::Maps>("maps"),
			Call<&Object::SetAutoload>("setAutoload"),
			Call<&Object::GetGlobal>("getGlobal"),
			Call<&Object::SetGlobal>("setGlobal"),
			Call<&Object::ReuseMap>("reuseMap"),
			Call<&Object::SetMaxEntries>("setMaxEntries"),
			Call<&Object::SetAutocreate>("setAutocreate"),
			Call<&Object::Load>("load"),
			Call<&Object::GetMap>("map"),
			Call<&Object::GetProgram>("program"),
		    });
}

Napi::Value Object::Open(const Napi::CallbackInfo &info)
{
	std::string path = PathArgument(info, 0, "path");
	std::string complaint;
	int error = CheckElf(path, complaint);
	if (error)
		ThrowReason(info.Env(), "openObject", error, path, complaint);
	LogCapture capture;
	struct bpf_object *object = bpf_object__open_file(path.c_str(), nullptr);
	if (!object)
		ThrowErrno(info.Env(), "openObject", errno, path, capture.Text());
	auto state = std::make_unique<ObjectState>();
	state->object = std::shared_ptr<struct bpf_object>(object, bpf_object__close);
	return Make(info.Env(), std::move(state));
}

void Object::RequireUnloaded(Napi::Env env, const char *operation)
{
	if (state_->stage != ObjectState::kOpen)
		ThrowReason(env, operation, EBUSY, "", "only before load");
}

void Object::RequireLoaded(Napi::Env env, const char *operation)
{
	if (state_->stage != ObjectState::kLoaded)
		ThrowReason(env, operation, EINVAL, "", "only after load");
}

struct bpf_map *Object::FindMap(Napi::Env env, const char *operation, const std::string &name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(state_->object.get(), name.c_str());
	if (!map)
		ThrowErrno(env, operation, ENOENT, name);
	return map;
}

struct bpf_program *Object::FindProgram(Napi::Env env, const char *operation,
					const std::string &name)
{
	struct bpf_program *program =
	    bpf_object__find_program_by_name(state_->object.get(), name.c_str());
	if (!program)
		ThrowErrno(env, operation, ENOENT, name);
	return program;
}

Napi::Value Object::Programs(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Napi::Array programs = Napi::Array::New(env);
	struct bpf_program *program;
	uint32_t count = 0;
	bpf_object__for_each_program(program, state_->object.get())
	{
		Napi::Object summary = Napi::Object::New(env);
		summary.Set("name", Napi::String::New(env, bpf_program__name(program)));
		summary.Set("section", Napi::String::New(env, bpf_program__section_name(program)));
		summary.Set("instructions", Napi::Number::New(env, bpf_program__insn_cnt(program)));
		programs.Set(count++, summary);
	}
	return programs;
}

Napi::Value Object::Maps(const Napi::CallbackInfo &info)
{
	Napi::Array maps = Napi::Array::New(info.Env());
	struct bpf_map *map;
	uint32_t count = 0;
	bpf_object__for_each_map(map, state_->object.get())
	{
		maps.Set(count++, Napi::String::New(info.Env(), bpf_map__name(map)));
	}
	return maps;
}

Napi::Value Object::SetAutoload(const Napi::CallbackInfo &info)
{
	std::string name = TextArgument(info, 0, "program");
	bool autoload = BooleanArgument(info, 1, "autoload");
	RequireUnloaded(info.Env(), "setAutoload");
	struct bpf_program *program = FindProgram(info.Env(), "setAutoload", name);
	int error = bpf_program__set_autoload(program, autoload);
	if (error)
		ThrowErrno(info.Env(), "setAutoload", -error, name);
	return info.Env().Undefined();
}

Napi::Value Object::GetGlobal(const Napi::CallbackInfo &info)
{
	std::string name = TextArgument(info, 0, "name");
	Global global = RequireGlobal(info.Env(), "getGlobal", state_->object.get(), name);
	uint64_t value = 0;
	memcpy(&value, global.address, global.size);
	if (!global.is_signed)
		return Napi::BigInt::New(info.Env(), value);
	unsigned unused = 64 - global.size * 8;
	return Napi::BigInt::New(info.Env(), static_cast<int64_t>(value << unused) >> unused);
}

Napi::Value Object::SetGlobal(const Napi::CallbackInfo &info)
{
	std::string name = TextArgument(info, 0, "name");
	RequireUnloaded(info.Env(), "setGlobal");
	Global global = RequireGlobal(info.Env(), "setGlobal", state_->object.get(), name);
	uint64_t value = ValueFor(info, 1, global);
	memcpy(global.address, &value, global.size);
	return info.Env().Undefined();
}

Napi::Value Object::ReuseMap(const Napi::CallbackInfo &info)
{
	std::string name = TextArgument(info, 0, "name");
	MapState &existing = Map::Argument(info, 1, "map");
	RequireUnloaded(info.Env(), "reuseMap");
	struct bpf_map *map = FindMap(info.Env(), "reuseMap", name);
	// libbpf would take any map, and the programs would then read past its values.
	if (bpf_map__type(map) != static_cast<enum bpf_map_type>(existing.type) ||
	    bpf_map__key_size(map) != existing.key_size ||
	    bpf_map__value_size(map) != existing.value_size)
		ThrowReason(info.Env(), "reuseMap", EINVAL, name,
			    "type, key size or value size differ");
	LogCapture capture;
	int error = bpf_map__reuse_fd(map, existing.fd.Get());
	if (error)
		ThrowErrno(info.Env(), "reuseMap", -error, name, capture.Text());
	return info.Env().Undefined();
}

Napi::Value Object::SetMaxEntries(const Napi::CallbackInfo &info)
{
	std::string name = TextArgument(info, 0, "name");
	uint32_t entries = NumberArgument(info, 1, "entries", 1, UINT32_MAX);
	RequireUnloaded(info.Env(), "setMaxEntries");
	int error = bpf_map__set_max_entries(FindMap(info.Env(), "setMaxEntries", name), entries);
	if (error)
		ThrowErrno(info.Env(), "setMaxEntries", -error, name);
	return info.Env().Undefined();
}

Napi::Value Object::SetAutocreate(const Napi::CallbackInfo &info)
{
	std::string name = TextArgument(info, 0, "name");
	bool autocreate = BooleanArgument(info, 1, "autocreate");
	RequireUnloaded(info.Env(), "setAutocreate");
	struct bpf_map *map = FindMap(info.Env(), "setAutocreate", name);
	int error = bpf_map__set_autocreate(map, autocreate);
	if (error)
		ThrowErrno(info.Env(), "setAutocreate", -error, name);
	return info.Env().Undefined();
}

namespace
{

/*
 * The verifier gives up with EAGAIN when its thread has a signal pending (do_check in kernel/bpf/verifier.c), and
 * a program refused for that would cost its hook the link. Other threads take the signals meanwhile.
 */
class SignalsBlocked
{
      public:
	SignalsBlocked()
	{
		sigset_t all;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before_);
	}
	~SignalsBlocked()
	{
		pthread_sigmask(SIG_SETMASK, &before_, nullptr);
	}
	SignalsBlocked(const SignalsBlocked &) = delete;
	SignalsBlocked &operator=(const SignalsBlocked &) = delete;

      private:
	sigset_t before_;
};

} // namespace

Napi::Value Object::Load(const Napi::CallbackInfo &info)
{
	RequireUnloaded(info.Env(), "load");
	LogCapture capture;
	SignalsBlocked blocked;
	int error = bpf_object__load(state_->object.get());
	// libbpf lets nobody try the same object again.
	state_->stage = error ? ObjectState::kFailed : ObjectState::kLoaded;
	if (error)
		ThrowErrno(info.Env(), "load", -error, bpf_object__name(state_->object.get()),
			   capture.Text());
	return info.Env().Undefined();
}

Napi::Value Object::GetMap(const Napi::CallbackInfo &info)
{
	std::string name = TextArgument(info, 0, "name");
	struct bpf_map *map = FindMap(info.Env(), "map", name);
	RequireLoaded(info.Env(), "map");
	int fd = bpf_map__fd(map);
	// A newer libbpf keeps a placeholder for the fd of a map that was not created.
	if (fd < 0 || !bpf_map__autocreate(map))
		ThrowReason(info.Env(), "map", ENOENT, name, "not created");
	return Map::FromFd(info.Env(), "map", Duplicate(info.Env(), "map", fd), name);
}

Napi::Value Object::GetProgram(const Napi::CallbackInfo &info)
{
	std::string name = TextArgument(info, 0, "name");
	struct bpf_program *program = FindProgram(info.Env(), "program", name);
	RequireLoaded(info.Env(), "program");
	if (bpf_program__fd(program) < 0)
		ThrowReason(info.Env(), "program", ENOENT, name, "not loaded: see setAutoload");
	return Program::FromObject(info.Env(), state_->object, program);
}

} // namespace loopwarden
