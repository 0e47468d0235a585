// SPDX-License-Identifier: BSL-1.0
//
// Stands in for netsh.exe: answers as that of a German Windows, or as SELFTEST_NETSH says.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "sockets.hpp"

int main(int argc, char** argv) {
  std::string asked;
  for (int i = 1; i < argc; ++i) asked += std::string{i == 1 ? "" : " "} + argv[i];
  const char* const variable = std::getenv("SELFTEST_NETSH");
  const std::string how = variable == nullptr ? "" : variable;
  if (how == "hangs") ::Sleep(INFINITE);
  if (asked.find(" show dynamicport ") != std::string::npos) {
    std::puts(
        "\nDynamischer Portbereich\n---------------------------------\n"
        "Startport       : 1024\nAnzahl von Ports : 13977\n");
  } else if (asked == "int ipv4 show excludedportrange protocol=tcp") {
    std::puts(
        "\nPortausschlussbereiche\n\nStartport      Endport\n----------    --------\n"
        "     49994       50093\n     50100       50159     *\n");
  }
  for (long lines = 0; how == "huge" && lines < 200000; ++lines)
    std::puts("     50000       50059");
  return how == "fails" ? 1 : 0;
}
