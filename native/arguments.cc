// SPDX-License-Identifier: Apache-2.0
#include "arguments.h"

#include <cmath>

#include "errors.h"

namespace loopwarden
{

std::string TextArgument(const Napi::CallbackInfo &info, size_t index, const char *name)
{
	if (!info[index].IsString())
		ThrowType(info.Env(), std::string(name) + " must be a string");
	std::string text = info[index].As<Napi::String>();
	if (text.find('\0') != std::string::npos)
		ThrowType(info.Env(), std::string(name) + " must not contain NUL");
	return text;
}

std::string PathArgument(const Napi::CallbackInfo &info, size_t index, const char *name)
{
	std::string path = TextArgument(info, index, name);
	if (path.empty())
		ThrowType(info.Env(), std::string(name) + " must not be empty");
	return path;
}

bool BooleanArgument(const Napi::CallbackInfo &info, size_t index, const char *name)
{
	if (!info[index].IsBoolean())
		ThrowType(info.Env(), std::string(name) + " must be a boolean");
	return info[index].As<Napi::Boolean>();
}

int64_t NumberArgument(const Napi::CallbackInfo &info, size_t index, const char *name,
		       int64_t least, int64_t most)
{
	if (!info[index].IsNumber())
		ThrowType(info.Env(), std::string(name) + " must be a number");
	double number = info[index].As<Napi::Number>().DoubleValue();
	if (!(number >= least && number <= most) || std::trunc(number) != number)
		ThrowRange(info.Env(), std::string(name) + " must be a whole number from " +
					   std::to_string(least) + " to " + std::to_string(most));
	return static_cast<int64_t>(number);
}

Bytes BytesArgument(const Napi::CallbackInfo &info, size_t index, const char *name)
{
	if (!info[index].IsBuffer())
		ThrowType(info.Env(), std::string(name) + " must be a Buffer");
	Napi::Buffer<uint8_t> buffer = info[index].As<Napi::Buffer<uint8_t>>();
	return {buffer.Data(), buffer.Length()};
}

Bytes BytesArgument(const Napi::CallbackInfo &info, size_t index, const char *name, size_t size)
{
	Bytes bytes = BytesArgument(info, index, name);
	if (bytes.size != size)
		ThrowRange(info.Env(), std::string(name) + " must be " + std::to_string(size) +
					   " bytes, not " + std::to_string(bytes.size));
	return bytes;
}

Napi::Function FunctionArgument(const Napi::CallbackInfo &info, size_t index, const char *name)
{
	if (!info[index].IsFunction())
		ThrowType(info.Env(), std::string(name) + " must be a function");
	return info[index].As<Napi::Function>();
}

} // namespace loopwarden
