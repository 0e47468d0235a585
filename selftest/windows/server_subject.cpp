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
