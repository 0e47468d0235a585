// SPDX-License-Identifier: BSL-1.0
//
// A port that a service holds.

#include <string>

#include <gmock/gmock.h>

#include <tidewait/detail/os_words.hpp>
#include <tidewait/tidewait.hpp>

#include "child.hpp"

namespace {

using testing::HasSubstr;

/// A service that listens on a port, made and started for one test.
class test_service {
 public:
  explicit test_service(std::uint16_t port)
      : manager_{::OpenSCManagerA(nullptr, nullptr, SC_MANAGER_ALL_ACCESS)} {
    const std::string line =
        '"' + child::beside_us("subject_server.exe") + "\" serve " + std::to_string(port);
    service_ =
        ::CreateServiceA(manager_, name().c_str(), nullptr, SERVICE_ALL_ACCESS,
                         SERVICE_WIN32_OWN_PROCESS, SERVICE_DEMAND_START, SERVICE_ERROR_IGNORE,
                         line.c_str(), nullptr, nullptr, nullptr, nullptr, nullptr);
    runs_ = service_ != nullptr && ::StartServiceA(service_, 0, nullptr) != 0 &&
            reaches(SERVICE_RUNNING);
  }
  test_service(const test_service&) = delete;
  test_service& operator=(const test_service&) = delete;
  ~test_service() {
    SERVICE_STATUS status{};
    if (service_ != nullptr) {
      ::ControlService(service_, SERVICE_CONTROL_STOP, &status);
      reaches(SERVICE_STOPPED);
      ::DeleteService(service_);
      ::CloseServiceHandle(service_);
    }
    ::CloseServiceHandle(manager_);
  }

  static std::string name() { return "tidewait_" + std::to_string(::GetCurrentProcessId()); }
  bool runs() const noexcept { return runs_; }

 private:
  bool reaches(DWORD state) const {
    for (int looks = 0; looks < 600; ++looks) {
      SERVICE_STATUS status{};
      if (::QueryServiceStatus(service_, &status) == 0) return false;
      if (status.dwCurrentState == state) return true;
      ::Sleep(50);
    }
    return false;
  }

  SC_HANDLE manager_ = nullptr;
  SC_HANDLE service_ = nullptr;
  bool runs_ = false;
};

TEST(WindowsService, IsNamedWithHowToStopIt) {
  const tidewait::port_lease port = tidewait::lease_port();
  const test_service service{port.number()};
  ASSERT_TRUE(service.runs());
  const auto [why, seen] = tidewait::explain_port(tidewait::protocol::tcp, port.number());
  ASSERT_EQ(why.conflicting.size(), 1U) << render(why, seen);
  ASSERT_EQ(why.conflicting.front().owners.size(), 1U) << render(why, seen);
  EXPECT_EQ(why.conflicting.front().owners.front().unit, "service " + service.name());
  EXPECT_THAT(render(why, seen), HasSubstr("of service " + service.name()));
}

TEST(WindowsService, IsStoppedByItsName) {
  using tidewait::detail::stop_unit;
  EXPECT_THAT(stop_unit("service Dnscache"), HasSubstr("`sc stop Dnscache`"));
  EXPECT_THAT(stop_unit("one of the services BFE, mpssvc"), HasSubstr("`netstat -anob`"));
}

}  // namespace
