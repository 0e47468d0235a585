// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A file that was read or written, or why not. `error` is `errc::untrusted_file` if it is there
/// and is not what it should be; then `why` says in words what is wrong with it.
struct opened_file {
  std::error_code error;
  std::string why;

  explicit operator bool() const noexcept { return !error; }
};

inline std::string to_text(const opened_file& refused) {
  return refused.why.empty() ? refused.error.message() : refused.why;
}

/// Reads a file that is to be trusted: a regular file with one name, of this user (or of the
/// administrators, where an elevated process of this user made it), to which nobody else may write.
/// Of one that is larger than `most` bytes the last part of it, from the first line on that is
/// whole.
opened_file read_own_file(const char* path, std::string& text, std::size_t most);

/// Appends to such a file, made if it is not there, in one write that does not mix with those of
/// other processes. A last line without its end is ended first.
opened_file append_own_file(const char* path, std::string_view text);

/// A file that the user named, such as one of a repository: of at most `most` bytes.
std::error_code read_named_file(const char* path, std::string& text, std::size_t most);

/// Replaces the text of such a file by what `edit` makes of it, such that edits of several
/// processes follow one another. Made if it is not there. `edit` returns the new text, or the old
/// one to leave the file alone.
std::error_code edit_named_file(const std::string& path, std::size_t most,
                                const std::function<std::string(const std::string&)>& edit);

/// A path from the working directory on, such as "C:\\work\\.": it is not simplified. One that
/// starts with a drive or a slash stays as it is.
std::string absolute_path(const std::string& path);

/// Writes a file such that it is there completely or not at all.
std::error_code replace_file(const std::string& path, std::string_view text);

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
