// SPDX-License-Identifier: BSL-1.0
//
// A program that does one thing and keeps it until its input ends: `listen`, `lease N`; or, as a
// service, until that is stopped: `serve PORT`.

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include <tidewait/port_lease.hpp>

#include "sockets.hpp"
// clang-format off: after winsock2.h
#include <windows.h>
// clang-format on

namespace {

// What the service control manager calls has no argument of ours.
std::uint16_t service_port = 0;
HANDLE stop = nullptr;

void WINAPI serve(DWORD, LPWSTR*) {
  stop = ::CreateEventW(nullptr, TRUE, FALSE, nullptr);
  const SERVICE_STATUS_HANDLE handle = ::RegisterServiceCtrlHandlerExW(
      L"",
      [](DWORD control, DWORD, void*, void*) -> DWORD {
        if (control == SERVICE_CONTROL_STOP) ::SetEvent(stop);
        return NO_ERROR;
      },
      nullptr);
  SERVICE_STATUS status{};
  status.dwServiceType = SERVICE_WIN32_OWN_PROCESS;
  status.dwControlsAccepted = SERVICE_ACCEPT_STOP;
  {
    const auto listener = sockets::listening(service_port);
    status.dwCurrentState = SERVICE_RUNNING;
    ::SetServiceStatus(handle, &status);
    ::WaitForSingleObject(stop, INFINITE);
  }
  status.dwCurrentState = SERVICE_STOPPED;
  ::SetServiceStatus(handle, &status);
}

HANDLE ready_event(const std::string& port) {
  return ::CreateEventA(nullptr, TRUE, FALSE, ("tidewait_selftest_" + port).c_str());
}

/// Starts this program as `stay PORT`, and returns when that listens.
bool start_one_that_stays(const std::string& port) {
  char own[1024];
  ::GetModuleFileNameA(nullptr, own, sizeof own);
  std::string line = '"' + std::string{own} + "\" stay " + port;
  STARTUPINFOA start{};
  start.cb = sizeof start;
  PROCESS_INFORMATION made{};
  const HANDLE ready = ready_event(port);
  return ::CreateProcessA(nullptr, line.data(), nullptr, nullptr, FALSE, DETACHED_PROCESS, nullptr,
                          nullptr, &start, &made) != 0 &&
         ::WaitForSingleObject(ready, 30000) == WAIT_OBJECT_0;
}

void stay(const std::string& port) {
  constexpr DWORD minute = 60000;
  const auto listener = sockets::listening(static_cast<std::uint16_t>(std::stoi(port)));
  ::SetEvent(ready_event(port));
  ::Sleep(minute);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  std::optional<sockets::owned_socket> listener;
  std::vector<tidewait::port_lease> leases;
  if (what == "listen") {
    listener.emplace(sockets::listening(0));
    std::printf("%d\n", sockets::port_of(*listener));
  } else if (what == "lease" && argc > 2) {
    leases = tidewait::lease_ports(static_cast<std::size_t>(std::atoi(argv[2])));
    for (const tidewait::port_lease& each : leases) std::printf("%d ", each.number());
    std::printf("\n");
  } else if (what == "start" && argc > 2) {
    return start_one_that_stays(argv[2]) ? 0 : 3;
  } else if (what == "stay" && argc > 2) {
    stay(argv[2]);
    return 0;
  } else if (what == "serve" && argc > 2) {
    service_port = static_cast<std::uint16_t>(std::atoi(argv[2]));
    wchar_t name[] = L"";
    const SERVICE_TABLE_ENTRYW services[] = {{name, serve}, {nullptr, nullptr}};
    return ::StartServiceCtrlDispatcherW(services) != 0 ? 0 : 3;
  } else {
    return 2;
  }
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}
