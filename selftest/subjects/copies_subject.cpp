// SPDX-License-Identifier: BSL-1.0
//
// copies_subject <part leases|program leases> <bound|time_wait> [<plugin>]: a program with
// -fvisibility=hidden whose library, or plugin, has tidewait as well. The one leases, the other
// looks; it prints what the look says.
#include <dlfcn.h>

#include <cstdio>
#include <string>

#include <tidewait/port_lease.hpp>
#include <tidewait/report.hpp>
#include <tidewait/watch.hpp>

#include "../support/sockets.hpp"
#include "copies_part.hpp"

namespace {

template <typename Function>
Function* function_of(void* plugin, const char* name) {
  return reinterpret_cast<Function*>(::dlsym(plugin, name));
}

void leave(const std::string& what, std::uint16_t port) {
  if (what == "bound") sockets::bind_to(port);
  if (what == "time_wait") sockets::leave_time_wait(port);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::string what = argv[2];
#ifdef COPIES_PLUGIN
  void* const plugin = argc > 3 ? ::dlopen(argv[3], RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (plugin == nullptr) return std::puts(::dlerror()), 2;
  auto* const lease = function_of<decltype(part_lease)>(plugin, "part_lease");
  auto* const watch = function_of<decltype(part_watch)>(plugin, "part_watch");
  auto* const look = function_of<decltype(part_look)>(plugin, "part_look");
#else
  auto* const lease = part_lease;
  auto* const watch = part_watch;
  auto* const look = part_look;
#endif
  if (std::string{argv[1]} == "part leases") {
    tidewait::watch test{{}, "Program"};
    leave(what, lease());
    std::fputs(render(test.look()).c_str(), stdout);
  } else {
    watch();
    const auto port = tidewait::lease_port();
    leave(what, port.number());
    std::fputs(look(), stdout);
  }
}
