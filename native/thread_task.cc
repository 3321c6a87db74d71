// SPDX-License-Identifier: Apache-2.0
#include "thread_task.h"

#include <cerrno>
#include <exception>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "errors.h"

namespace loopwarden
{
namespace
{

struct Task {
	const char *operation;
	std::function<Finish()> body;
	Napi::Promise::Deferred deferred;
	napi_threadsafe_function done = nullptr;
	Finish finish;
	std::optional<Failure> failure;
};

void Run(Task &task) noexcept
{
	try {
		task.finish = task.body();
	} catch (Failure &failure) {
		task.failure = std::move(failure);
	} catch (const std::exception &) {
		// Nothing in a body throws but for want of memory.
		task.failure = Failure{ENOMEM, "", ""};
	}
}

Napi::Value ErrorOf(Napi::Env env, const Task &task)
{
	const Failure &failure = *task.failure;
	try {
		if (failure.reason.empty())
			ThrowErrno(env, task.operation, failure.error, failure.subject);
		ThrowReason(env, task.operation, failure.error, failure.subject, failure.reason);
	} catch (const Napi::Error &error) {
		return error.Value();
	}
}

void Settle(napi_env raw, napi_value, void *, void *data) noexcept
{
	std::unique_ptr<Task> task(static_cast<Task *>(data));
	// The environment is ending: nobody waits any more.
	if (!raw)
		return;
	Napi::Env env(raw);
	Napi::HandleScope scope(env);
	try {
		if (task->failure)
			task->deferred.Reject(ErrorOf(env, *task));
		else
			task->deferred.Resolve(task->finish(env));
	} catch (const Napi::Error &error) {
		task->deferred.Reject(error.Value());
	} catch (const std::exception &error) {
		task->deferred.Reject(Napi::Error::New(env, error.what()).Value());
	}
}

} // namespace

Napi::Value RunInThread(Napi::Env env, const char *operation, std::function<Finish()> body)
{
	std::unique_ptr<Task> task(new Task{
	    operation, std::move(body), Napi::Promise::Deferred::New(env), nullptr, nullptr, {}});
	Napi::Value promise = task->deferred.Promise();
	napi_threadsafe_function done = nullptr;
	Napi::String name = Napi::String::New(env, operation);
	if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr,
					    nullptr, Settle, &done) != napi_ok)
		ThrowErrno(env, operation, ENOMEM);
	task->done = done;
	try {
		std::thread([owned = task.get()] {
			Run(*owned);
			napi_threadsafe_function own_done = owned->done;
			// Refused when the environment is ending; then so is the process.
			napi_call_threadsafe_function(own_done, owned, napi_tsfn_blocking);
			napi_release_threadsafe_function(own_done, napi_tsfn_release);
		}).detach();
		task.release();
	} catch (const std::system_error &error) {
		napi_release_threadsafe_function(done, napi_tsfn_abort);
		ThrowErrno(env, operation, error.code().value(), "thread");
	}
	return promise;
}

} // namespace loopwarden
