// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_THREAD_TASK_H
#define LOOPWARDEN_THREAD_TASK_H

#include <napi.h>

#include <functional>
#include <string>

namespace loopwarden
{

// Why a task ended badly: thrown by its body, in the thread.
struct Failure {
	// Positive errno.
	int error;
	// Of what: a path, a name.
	std::string subject;
	// In place of the errno's text, if not empty.
	std::string reason;
};

// Makes the task's result, on the event loop.
using Finish = std::function<Napi::Value(Napi::Env)>;

// Runs `body` in a thread of its own, which ends with it: namespaces, file system ids and the working
// directory that it takes on go nowhere else, and what waits for a container's file system holds up
// nothing but itself. Throws what does not start; all else settles the promise.
Napi::Value RunInThread(Napi::Env env, const char *operation, std::function<Finish()> body);

} // namespace loopwarden

#endif
