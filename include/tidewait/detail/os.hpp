// SPDX-License-Identifier: BSL-1.0
#pragma once

// Which operating system: the only place that asks. Each name is a path from the folder of the
// header that includes it.
//
//   TIDEWAIT_OS_BACKEND     what is asked of the system: os_calls.hpp, and for servers
//                           process/os_calls.hpp
//   TIDEWAIT_OS_HANDLES     os_handles.hpp
//   TIDEWAIT_OS_WORDS       os_words.hpp
//   TIDEWAIT_OS_WITNESSED   witnessed_calls.hpp
#if defined(_WIN32)
#define TIDEWAIT_OS_BACKEND "windows/os.hpp"
#define TIDEWAIT_OS_HANDLES "windows/native_handle.hpp"
#define TIDEWAIT_OS_WORDS "windows/words.hpp"
#define TIDEWAIT_OS_WITNESSED "windows/witnessed_calls.hpp"
#else
#define TIDEWAIT_OS_BACKEND "linux/os.hpp"
#define TIDEWAIT_OS_HANDLES "linux/kept_fd.hpp"
#define TIDEWAIT_OS_WORDS "linux/words.hpp"
#define TIDEWAIT_OS_WITNESSED "linux/witnessed_calls.hpp"
#endif
