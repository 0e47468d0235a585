// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cxxabi.h>
#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/addr2line.hpp>
#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/run_tool.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Finds for a return address the module that it is in, and the place of the call in it.
inline code_place find_module(std::uintptr_t address) {
  struct search {
    std::uintptr_t call;
    code_place found;
  } all{address - 1, {}};
  ::dl_iterate_phdr(
      [](dl_phdr_info* module, std::size_t, void* argument) {
        search& wanted = *static_cast<search*>(argument);
        for (int i = 0; i < module->dlpi_phnum; ++i) {
          const auto& part = module->dlpi_phdr[i];
          const std::uintptr_t begin = module->dlpi_addr + part.p_vaddr;
          if (part.p_type != PT_LOAD || wanted.call < begin || wanted.call >= begin + part.p_memsz)
            continue;
          wanted.found.offset = wanted.call - module->dlpi_addr;
          const char* const name = module->dlpi_name;
          try {
            wanted.found.module = name == nullptr ? "" : name;  // empty: the program itself
          } catch (...) {
          }
          return 1;
        }
        return 0;
      },
      &all);
  return all.found;
}

inline std::string demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text{
      abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free};
  return status == 0 && text ? std::string{text.get()} : std::string{name};
}

/// What the dynamic linker knows of an address: the name of an exported function.
inline std::string exported_name(std::uintptr_t address) {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(address - 1), &info) == 0 || info.dli_sname == nullptr)
    return {};
  return demangled(info.dli_sname);
}

/// Whether a file of ELF has a whole table of symbols (elf(5), SHT_SYMTAB). Without one a tool
/// names the nearest exported function, and that is another one.
inline bool has_symbol_table(const std::string& path) {
  const unique_fd file{sys.openat(AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC)};
  ElfW(Ehdr) header{};
  if (!file || ::pread(file.get(), &header, sizeof header, 0) != sizeof header) return false;
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    ElfW(Shdr) section{};
    const auto at = static_cast<off_t>(header.e_shoff + std::uint64_t{i} * header.e_shentsize);
    if (::pread(file.get(), &section, sizeof section, at) != sizeof section) return false;
    if (section.sh_type == SHT_SYMTAB) return true;
  }
  return false;
}

/// Whether the file has the program headers of the program that runs (elf(5)).
inline bool is_running_program(const std::string& path) {
  const unique_fd file{sys.openat(AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC)};
  ElfW(Ehdr) header{};
  if (!file || ::pread(file.get(), &header, sizeof header, 0) != sizeof header) return false;
  std::vector<ElfW(Phdr)> parts(header.e_phnum);
  const std::size_t size = parts.size() * sizeof parts.front();
  const auto at = static_cast<off_t>(header.e_phoff);
  if (::pread(file.get(), parts.data(), size, at) != static_cast<ssize_t>(size)) return false;
  bool same = false;
  const auto compare = [&](const dl_phdr_info& program) {
    same = program.dlpi_phnum == parts.size() &&
           std::memcmp(program.dlpi_phdr, parts.data(), size) == 0;
  };
  ::dl_iterate_phdr(
      [](dl_phdr_info* module, std::size_t, void* argument) {
        (*static_cast<decltype(compare)*>(argument))(*module);
        return 1;  // the first is the program
      },
      const_cast<void*>(static_cast<const void*>(&compare)));
  return same;
}

/// addr2line(1), of GNU or LLVM; empty if neither is installed. What Clang 14 writes takes that of
/// GNU 2.40 thirty times as long, 0.7 s for a stack, so there LLVM's comes first.
inline std::string find_addr2line() {
#ifdef __clang__
  constexpr const char* names[] = {"llvm-symbolizer", "llvm-addr2line", "addr2line"};
#else
  constexpr const char* names[] = {"addr2line", "llvm-addr2line", "llvm-symbolizer"};
#endif
  for (const char* const name : names) {
    std::string tool = find_tool(name);
    if (!tool.empty()) return tool;
  }
  return {};
}

/// What that tool says of offsets in a program or library, innermost first; nothing if it fails or
/// takes longer than `most`.
inline std::optional<std::map<std::uint64_t, std::vector<code_place>>> ask_addr2line(
    const std::string& tool, const std::string& file, const std::vector<std::uint64_t>& offsets,
    std::chrono::milliseconds most) {
  std::vector<std::string> command{tool};
  const bool llvm = tool.size() > 10 && tool.compare(tool.size() - 10, 10, "symbolizer") == 0;
  if (llvm) command.insert(command.end(), {"--output-style=GNU", "-a", "-C", "-f", "-i", "-p"});
  command.insert(command.end(), {llvm ? "-e" : "-aCfipe", file});
  for (const std::uint64_t each : offsets) command.push_back(hexadecimal(each));
  const auto output = run_tool(command, most);
  if (!output) return std::nullopt;
  auto named = parse_addr2line(*output);
  const bool functions_alone = has_symbol_table(file);
  for (auto& [offset, places] : named) {
    for (code_place& place : places) {
      if (place.line == 0 && !functions_alone) place.function.clear();
      place.offset = offset;
    }
  }
  return named;
}

/// Turns return addresses of this process into places, by addr2line(1) of GNU or LLVM, one call for
/// each module. What has been named once is remembered. Where there is no such tool, or no debug
/// information, or the tool takes longer than 5 s (then it is not asked again), module and offset
/// remain, and the name of an exported function.
class symbolizer {
 public:
  static symbolizer& instance() {
    static symbolizer& only = *new symbolizer;
    return only;
  }

  /// `stack` holds addresses, as `to_record` makes it. An inlined call adds places.
  std::vector<code_place> name(const std::vector<code_place>& stack) {
    const std::lock_guard hold{mutex_};
    ask_for(stack);
    std::vector<code_place> places;
    for (const code_place& each : stack) {
      const auto known = places_.find(static_cast<std::uintptr_t>(each.offset));
      if (known == places_.end()) continue;
      places.insert(places.end(), known->second.begin(), known->second.end());
    }
    return places;
  }
  /// The same without the tool, in microseconds: module and offset alone.
  std::vector<code_place> locate(const std::vector<code_place>& stack) {
    const std::lock_guard hold{mutex_};
    std::vector<code_place> places;
    for (const code_place& each : stack) {
      places.push_back(module_of(static_cast<std::uintptr_t>(each.offset)));
      if (places.back().module.empty()) places.back().module = program();
    }
    return places;
  }

 private:
  /// Module and offset of an address; an empty module is the program.
  const code_place& module_of(std::uintptr_t address) {
    const auto [known, is_new] = modules_.emplace(address, code_place{});
    if (is_new) known->second = find_module(address);
    return known->second;
  }
  void ask_for(const std::vector<code_place>& stack) {
    std::map<std::string, std::vector<std::uintptr_t>> unknown;  // by module
    for (const code_place& each : stack) {
      const auto address = static_cast<std::uintptr_t>(each.offset);
      if (places_.count(address) != 0) continue;
      const code_place& place = module_of(address);
      unknown[place.module].push_back(address);
      places_[address] = {place};
    }
    for (const auto& [module, addresses] : unknown) ask_tool(module, addresses);
    for (const auto& [module, addresses] : unknown) {
      for (const std::uintptr_t address : addresses) {
        std::vector<code_place>& places = places_[address];
        if (places.front().function.empty()) places.front().function = exported_name(address);
        if (places.front().module.empty()) {
          for (code_place& place : places) place.module = program();
        }
      }
    }
  }

  void ask_tool(const std::string& module, const std::vector<std::uintptr_t>& addresses) {
    if (is_runtime_module(module)) return;
    if (!std::exchange(looked_for_tool_, true)) tool_ = find_addr2line();
    if (tool_.empty()) return;
    // The program's file may be gone, or replaced since: the link leads to what is being run. Under
    // valgrind or qemu it leads to them.
    std::string file = module.empty() ? program() : module;
    if (module.empty() && !is_running_program(file))
      file = "/proc/" + std::to_string(::getpid()) + "/exe";
    std::vector<std::uint64_t> offsets;
    for (const std::uintptr_t address : addresses)
      offsets.push_back(places_[address].front().offset);
    const auto start = steady_now();
    const auto named = ask_addr2line(tool_, file, offsets, longest_);
    if (!named && steady_now() - start >= longest_) tool_.clear();
    if (!named) return;
    for (const std::uintptr_t address : addresses) {
      const auto found = named->find(places_[address].front().offset);
      if (found == named->end()) continue;
      places_[address] = found->second;
      for (code_place& place : places_[address]) place.module = module;
    }
  }

  static const std::string& program() {
    // Never destroyed: the last look comes after the destructors of static objects.
    static const std::string& path = *new std::string{[] {
      char text[4096];
      const ssize_t size = ::readlink("/proc/self/exe", text, sizeof text);
      // Without /proc the name that it was called by.
      return size > 0 ? std::string{text, static_cast<std::size_t>(size)}
                      : std::string{::program_invocation_name};
    }()};
    return path;
  }

  static constexpr std::chrono::milliseconds longest_{5000};
  std::mutex mutex_{};
  std::map<std::uintptr_t, std::vector<code_place>> places_{};
  std::map<std::uintptr_t, code_place> modules_{};
  std::string tool_{};
  bool looked_for_tool_ = false;
};

/// Names the places of a record that `bind_log::since` has read.
inline void name_places(bind_record& record) {
  record.stack = symbolizer::instance().name(record.stack);
}

/// Module and offset of those places: what a journal needs, without a tool.
inline std::vector<code_place> locate_places(const bind_record& record) {
  return symbolizer::instance().locate(record.stack);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
