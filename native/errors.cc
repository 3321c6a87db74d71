// SPDX-License-Identifier: Apache-2.0
#include "errors.h"

namespace loopwarden
{
namespace
{

[[noreturn]] void Throw(Napi::Env env, const char *operation, int error, const std::string &subject,
			const std::string &reason, const std::string &log)
{
	std::string message = operation;
	if (!subject.empty())
		message += " " + subject;
	Napi::Error thrown = Napi::Error::New(env, message + ": " + reason);
	thrown.Set("code", Napi::String::New(env, ErrorName(error)));
	thrown.Set("errno", Napi::Number::New(env, error));
	thrown.Set("operation", Napi::String::New(env, operation));
	if (!log.empty())
		thrown.Set("log", Napi::String::New(env, log));
	throw thrown;
}

} // namespace

void ThrowErrno(Napi::Env env, const char *operation, int error, const std::string &subject,
		const std::string &log)
{
	Throw(env, operation, error, subject, ErrorText(error), log);
}

void ThrowReason(Napi::Env env, const char *operation, int error, const std::string &subject,
		 const std::string &reason)
{
	Throw(env, operation, error, subject, reason, "");
}

void ThrowClosed(Napi::Env env, const char *method)
{
	Napi::Error thrown = Napi::Error::New(env, std::string(method) + ": already closed");
	thrown.Set("code", Napi::String::New(env, "ERR_CLOSED"));
	throw thrown;
}

void ThrowType(Napi::Env env, const std::string &message)
{
	Napi::TypeError thrown = Napi::TypeError::New(env, message);
	thrown.Set("code", Napi::String::New(env, "ERR_INVALID_ARG_TYPE"));
	throw thrown;
}

void ThrowRange(Napi::Env env, const std::string &message)
{
	Napi::RangeError thrown = Napi::RangeError::New(env, message);
	thrown.Set("code", Napi::String::New(env, "ERR_OUT_OF_RANGE"));
	throw thrown;
}

} // namespace loopwarden
