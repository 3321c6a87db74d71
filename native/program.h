// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_PROGRAM_H
#define LOOPWARDEN_PROGRAM_H

#include <cstdint>
#include <memory>
#include <string>

#include "unique_fd.h"
#include "wrapped.h"

struct bpf_object;
struct bpf_program;

namespace loopwarden
{

struct ProgramState {
	UniqueFd fd;
	std::string name;
	uint32_t id;
	uint32_t type;
	uint64_t verified_instructions;
	// BPF_TRACE_ITER and such; unknown (-1) of a pinned program, which the kernel doesn't tell.
	int attach_type = -1;
	// Some attachments need what only libbpf's object knows, such as a kprobe's function.
	std::weak_ptr<struct bpf_object> object;
	struct bpf_program *program;
};

class Program : public Wrapped<Program, ProgramState>
{
      public:
	static constexpr char kName[] = "BpfProgram";
	static const napi_type_tag kTag;

	using Wrapped::Wrapped;
	static void Register(Napi::Env env);
	static Napi::Value FromObject(Napi::Env env,
				      const std::shared_ptr<struct bpf_object> &object,
				      struct bpf_program *program);
	static Napi::Value OpenPinned(const Napi::CallbackInfo &info);

      private:
	Napi::Value Name(const Napi::CallbackInfo &info);
	Napi::Value Fd(const Napi::CallbackInfo &info);
	Napi::Value Id(const Napi::CallbackInfo &info);
	Napi::Value VerifiedInstructions(const Napi::CallbackInfo &info);
	Napi::Value Stats(const Napi::CallbackInfo &info);
	Napi::Value Attach(const Napi::CallbackInfo &info);
	Napi::Value TestRun(const Napi::CallbackInfo &info);
	Napi::Value Pin(const Napi::CallbackInfo &info);
};

} // namespace loopwarden

#endif
