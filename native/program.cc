// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cerrno>

#include "arguments.h"
#include "bpf_fd.h"
#include "errors.h"
#include "link.h"
#include "map.h"

namespace loopwarden
{

constexpr char Program::kName[];
const napi_type_tag Program::kTag = {0x6c6f6f7077617264, 0x656e000000000002};

namespace
{

constexpr int64_t kRepeatMost = 1000000;

std::unique_ptr<ProgramState> StateFromFd(Napi::Env env, const char *operation, UniqueFd fd)
{
	struct bpf_prog_info program = {};
	__u32 size = sizeof(program);
	if (bpf_obj_get_info_by_fd(fd.Get(), &program, &size))
		ThrowErrno(env, operation, errno);
	auto state = std::make_unique<ProgramState>();
	state->fd = std::move(fd);
	state->name = program.name;
	state->id = program.id;
	state->type = program.type;
	state->verified_instructions = program.verified_insns;
	state->program = nullptr;
	return state;
}

// The kernel remembers from the load where these belong.
bool KnowsItsTarget(uint32_t type)
{
	return type == BPF_PROG_TYPE_TRACING || type == BPF_PROG_TYPE_LSM;
}

// An iterator over the elements of a map is told of which.
UniqueFd AttachToMap(const ProgramState &program, int map)
{
	union bpf_iter_link_info about = {};
	about.map.map_fd = static_cast<__u32>(map);
	struct bpf_link_create_opts options = {};
	options.sz = sizeof(options);
	options.iter_info = &about;
	options.iter_info_len = sizeof(about);
	return UniqueFd(bpf_link_create(program.fd.Get(), 0, BPF_TRACE_ITER, &options));
}

UniqueFd AttachToItsTarget(const ProgramState &program)
{
	UniqueFd link;
	bool may_iterate = program.attach_type < 0 || program.attach_type == BPF_TRACE_ITER;
	// The kernel refuses with EINVAL, and without any effect, a program that is no iterator.
	if (program.type == BPF_PROG_TYPE_TRACING && may_iterate)
		link.Reset(bpf_link_create(program.fd.Get(), 0, BPF_TRACE_ITER, nullptr));
	if (!link && program.attach_type != BPF_TRACE_ITER)
		link.Reset(bpf_raw_tracepoint_open(nullptr, program.fd.Get()));
	return link;
}

} // namespace

void Program::Register(Napi::Env env)
{
	Define(env, {
			Get<&Program::Name>("name"),
			Get<&Program::Fd>("fd"),
			Get<&Program::Id>("id"),
			Get<&Program::VerifiedInstructions>("verifiedInstructions"),
			Call<&Program::Stats>("stats"),
			Call<&Program::Attach>("attach"),
			Call<&Program::TestRun>("testRun"),
			Call<&Program::Pin>("pin"),
		    });
}

Napi::Value Program::FromObject(Napi::Env env, const std::shared_ptr<struct bpf_object> &object,
				struct bpf_program *program)
{
	UniqueFd fd = Duplicate(env, "program", bpf_program__fd(program));
	auto state = StateFromFd(env, "program", std::move(fd));
	state->name = bpf_program__name(program);
	state->attach_type = bpf_program__expected_attach_type(program);
	state->object = object;
	state->program = program;
	return Make(env, std::move(state));
}

Napi::Value Program::OpenPinned(const Napi::CallbackInfo &info)
{
	std::string path = PathArgument(info, 0, "path");
	UniqueFd fd = OpenPin(info.Env(), "openPinnedProgram", path, "prog");
	return Make(info.Env(), StateFromFd(info.Env(), "openPinnedProgram", std::move(fd)));
}

Napi::Value Program::Name(const Napi::CallbackInfo &info)
{
	return Napi::String::New(info.Env(), state_->name);
}

Napi::Value Program::Fd(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), state_->fd.Get());
}

Napi::Value Program::Id(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), state_->id);
}

Napi::Value Program::VerifiedInstructions(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), static_cast<double>(state_->verified_instructions));
}

Napi::Value Program::Stats(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	struct bpf_prog_info program = {};
	__u32 size = sizeof(program);
	if (bpf_obj_get_info_by_fd(state_->fd.Get(), &program, &size))
		ThrowErrno(env, "stats", errno);
	auto number = [env](uint64_t value) { return Napi::BigInt::New(env, value); };
	Napi::Object stats = Napi::Object::New(env);
	stats.Set("runs", number(program.run_cnt));
	stats.Set("runNs", number(program.run_time_ns));
	stats.Set("missed", number(program.recursion_misses));
	return stats;
}

Napi::Value Program::Attach(const Napi::CallbackInfo &info)
{
	bool to_map = !info[0].IsUndefined();
	if (to_map || KnowsItsTarget(state_->type)) {
		UniqueFd link = to_map
				    ? AttachToMap(*state_, Map::Argument(info, 0, "map").fd.Get())
				    : AttachToItsTarget(*state_);
		if (!link)
			ThrowErrno(info.Env(), "attach", errno, state_->name);
		return Link::Make(info.Env(), std::make_unique<LinkState>(std::move(link)));
	}
	std::shared_ptr<struct bpf_object> object = state_->object.lock();
	if (!object)
		ThrowReason(info.Env(), "attach", EOPNOTSUPP, state_->name,
			    "only while the object it was loaded from is open");
	LogCapture capture;
	struct bpf_link *link = bpf_program__attach(state_->program);
	if (!link)
		ThrowErrno(info.Env(), "attach", errno, state_->name, capture.Text());
	return Link::Make(info.Env(), std::make_unique<LinkState>(link));
}

Napi::Value Program::TestRun(const Napi::CallbackInfo &info)
{
	Bytes data = BytesArgument(info, 0, "data");
	if (data.size > UINT32_MAX)
		ThrowRange(info.Env(), "data is too long");
	struct bpf_test_run_opts options = {};
	options.sz = sizeof(options);
	options.data_in = data.data;
	options.data_size_in = data.size;
	options.repeat =
	    info[1].IsUndefined() ? 1 : NumberArgument(info, 1, "repeat", 1, kRepeatMost);
	if (bpf_prog_test_run_opts(state_->fd.Get(), &options))
		ThrowErrno(info.Env(), "testRun", errno, state_->name);
	Napi::Object outcome = Napi::Object::New(info.Env());
	outcome.Set("result", Napi::Number::New(info.Env(), options.retval));
	outcome.Set("durationNs", Napi::Number::New(info.Env(), options.duration));
	return outcome;
}

Napi::Value Program::Pin(const Napi::CallbackInfo &info)
{
	PinFd(info.Env(), "pin", state_->fd.Get(), PathArgument(info, 0, "path"));
	return info.Env().Undefined();
}

} // namespace loopwarden
