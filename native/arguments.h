// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_ARGUMENTS_H
#define LOOPWARDEN_ARGUMENTS_H

#include <napi.h>

#include <cstdint>
#include <string>

namespace loopwarden
{

struct Bytes {
	uint8_t *data;
	size_t size;
};

// Throws TypeError unless it is a string without NUL, which the kernel would cut.
std::string TextArgument(const Napi::CallbackInfo &info, size_t index, const char *name);
// A text that is not empty either.
std::string PathArgument(const Napi::CallbackInfo &info, size_t index, const char *name);
bool BooleanArgument(const Napi::CallbackInfo &info, size_t index, const char *name);
// A whole number within [least, most]; RangeError outside.
int64_t NumberArgument(const Napi::CallbackInfo &info, size_t index, const char *name,
		       int64_t least, int64_t most);
Bytes BytesArgument(const Napi::CallbackInfo &info, size_t index, const char *name);
// RangeError unless it is `size` bytes long.
Bytes BytesArgument(const Napi::CallbackInfo &info, size_t index, const char *name, size_t size);
Napi::Function FunctionArgument(const Napi::CallbackInfo &info, size_t index, const char *name);

} // namespace loopwarden

#endif
