// SPDX-License-Identifier: BSL-1.0
//
// A program that does one thing and keeps it until its input ends: `listen`, `lease N`, `host
// PORT`; as a service, until that is stopped: `serve PORT`; or for a minute: `stay PORT`, `stubborn
// PORT`.

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include <tidewait/port_lease.hpp>
#include <tidewait/server_process.hpp>

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

std::string own_path() {
  char own[1024];
  const DWORD size = ::GetModuleFileNameA(nullptr, own, sizeof own);
  return {own, size};
}

/// Starts this program as `stay PORT`, and returns when that listens.
bool start_one_that_stays(const std::string& port) {
  std::string line = '"' + own_path() + "\" stay " + port;
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

/// Keeps a listener whose holder Wine's table does not name, and does not end when it is asked to.
void stay_stubbornly(const std::string& port) {
  constexpr DWORD minute = 60000;
  ::SetConsoleCtrlHandler([](DWORD) -> BOOL { return TRUE; }, TRUE);
  const auto listener = sockets::bound(static_cast<std::uint16_t>(std::stoi(port)));
  ::listen(listener.get(), 1);
  ::Sleep(minute);
}

/// What the program has got: its arguments, one variable, and its working directory.
void tell(int argc, char** argv) {
  for (int i = 2; i < argc; ++i) std::printf("[%s]\n", argv[i]);
  const char* const variable = std::getenv("SELFTEST_VARIABLE");
  std::printf("variable: %s\n", variable == nullptr ? "none" : variable);
  char here[1024];
  ::GetCurrentDirectoryA(sizeof here, here);
  std::printf("directory: %s\n", here);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  std::optional<sockets::owned_socket> listener;
  std::vector<tidewait::port_lease> leases;
  std::optional<tidewait::server_process> server;
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
  } else if (what == "stubborn" && argc > 2) {
    stay_stubbornly(argv[2]);
    return 0;
  } else if (what == "tell") {
    tell(argc, argv);
    return 3;
  } else if (what == "crash") {
    ::ExitProcess(0xc0000005U);  // as an access violation ends it, without a debugger
  } else if (what == "minus-one") {
    return -1;
  } else if (what == "host" && argc > 2) {
    server.emplace(own_path(), std::vector<tidewait::argument>{"stay", argv[2]});
    server->wait_until_listening(static_cast<std::uint16_t>(std::atoi(argv[2])));
    std::printf("ready\n");
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
