// SPDX-License-Identifier: BSL-1.0
#include <map>
#include <vector>

#include <tidewait/detail/text.hpp>
#include <tidewait/detail/windows/read_sockets.hpp>

#include "system.hpp"

namespace tidewait {
inline namespace v0 {
namespace detail {
namespace {

/// Closes a handle of the service control manager.
struct service_manager {
  SC_HANDLE handle = ::OpenSCManagerW(nullptr, nullptr, SC_MANAGER_ENUMERATE_SERVICE);

  service_manager() = default;
  service_manager(const service_manager&) = delete;
  service_manager& operator=(const service_manager&) = delete;
  ~service_manager() {
    if (handle != nullptr) ::CloseServiceHandle(handle);
  }
};

/// The names of the running services, by the pid of their process; nothing if they cannot be seen.
std::optional<std::multimap<int, std::string>> running_services() {
  std::multimap<int, std::string> services;
  const service_manager manager;
  if (manager.handle == nullptr) return std::nullopt;
  std::vector<std::uint64_t> buffer(std::size_t{1} << 15U);  // 256 KiB: the longest answer
  DWORD resume = 0;
  BOOL whole = FALSE;
  while (whole == FALSE) {
    DWORD missing = 0;
    DWORD count = 0;
    whole = ::EnumServicesStatusExW(manager.handle, SC_ENUM_PROCESS_INFO, SERVICE_WIN32,
                                    SERVICE_ACTIVE, reinterpret_cast<BYTE*>(buffer.data()),
                                    static_cast<DWORD>(buffer.size() * sizeof buffer.front()),
                                    &missing, &count, &resume, nullptr);
    if (whole == FALSE && (::GetLastError() != ERROR_MORE_DATA || count == 0)) return std::nullopt;
    const auto* const rows = reinterpret_cast<const ENUM_SERVICE_STATUS_PROCESSW*>(buffer.data());
    for (DWORD i = 0; i < count; ++i) {
      services.emplace(static_cast<int>(rows[i].ServiceStatusProcess.dwProcessId),
                       sanitised(to_utf8(rows[i].lpServiceName)));
    }
  }
  return services;
}

}  // namespace

bool services_are_visible() { return running_services().has_value(); }

void describe_holders(std::vector<observed_socket>& sockets) {
  std::optional<std::multimap<int, std::string>> services;
  for (observed_socket& socket : sockets) {
    for (process& owner : socket.owners) {
      if (owner.ours()) continue;
      if (!services) services = running_services().value_or(std::multimap<int, std::string>{});
      const auto [first, last] = services->equal_range(owner.pid);
      std::vector<std::string> names;
      for (auto each = first; each != last; ++each) names.push_back(each->second);
      if (!names.empty())
        owner.unit =
            (names.size() == 1 ? "service " : "one of the services ") + joined(names, ", ");
    }
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
