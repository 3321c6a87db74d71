// SPDX-License-Identifier: Apache-2.0
#include "linker.h"

#include <bpf/libbpf.h>

#include <cerrno>

#include "arguments.h"
#include "elf_check.h"
#include "errors.h"

namespace loopwarden
{

constexpr char Linker::kName[];
const napi_type_tag Linker::kTag = {0x6c6f6f7077617264, 0x656e000000000005};

LinkerState::~LinkerState()
{
	bpf_linker__free(linker);
}

void Linker::Register(Napi::Env env)
{
	Define(env, {
			Call<&Linker::AddFile>("addFile"),
			Call<&Linker::Finalize>("finalize"),
		    });
}

Napi::Value Linker::Open(const Napi::CallbackInfo &info)
{
	std::string path = PathArgument(info, 0, "outputPath");
	auto state = std::make_unique<LinkerState>();
	LogCapture capture;
	state->linker = bpf_linker__new(path.c_str(), nullptr);
	if (!state->linker)
		ThrowErrno(info.Env(), "openLinker", errno, path, capture.Text());
	state->output_path = path;
	return Make(info.Env(), std::move(state));
}

Napi::Value Linker::AddFile(const Napi::CallbackInfo &info)
{
	std::string path = PathArgument(info, 0, "path");
	if (state_->ended)
		ThrowReason(info.Env(), "addFile", EINVAL, path, "the linker has ended");
	std::string complaint;
	int error = CheckElf(path, complaint);
	if (error)
		ThrowReason(info.Env(), "addFile", error, path, complaint);
	LogCapture capture;
	error = bpf_linker__add_file(state_->linker, path.c_str(), nullptr);
	if (error) {
		state_->ended = true;
		ThrowErrno(info.Env(), "addFile", -error, path, capture.Text());
	}
	return info.Env().Undefined();
}

Napi::Value Linker::Finalize(const Napi::CallbackInfo &info)
{
	if (state_->ended)
		ThrowReason(info.Env(), "finalize", EINVAL, state_->output_path,
			    "the linker has ended");
	state_->ended = true;
	LogCapture capture;
	int error = bpf_linker__finalize(state_->linker);
	if (error)
		ThrowErrno(info.Env(), "finalize", -error, state_->output_path, capture.Text());
	return info.Env().Undefined();
}

} // namespace loopwarden
