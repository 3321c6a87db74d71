// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "errors.h"

namespace loopwarden
{

std::string ErrorName(int error)
{
	const char *name = strerrorname_np(error);
	return name ? name : "E" + std::to_string(error);
}

std::string ErrorText(int error)
{
	char text[128];
	return strerror_r(error, text, sizeof(text));
}

} // namespace loopwarden
