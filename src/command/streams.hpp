// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace tidewait::command {

// What each system has of its own for the command line and the standard streams. Only command.cpp
// writes through these.

inline constexpr int standard_input = 0;
inline constexpr int standard_output = 1;
inline constexpr int standard_error = 2;

/// Writes all of the text.
std::error_code write_to_stream(int stream, std::string_view text);
/// The same; that nobody reads it raises no SIGPIPE.
std::error_code write_quietly(int stream, std::string_view text);

/// Whether a person reads it, and colours are shown; of the input, whether a person writes it.
bool is_terminal(int stream);

/// Makes the standard streams fit to be used, before anything else is opened.
void prepare_streams();

/// The arguments of the command line in UTF-8, the name of the program in front.
std::vector<std::string> utf8_arguments(int argc, const char* const* argv);

}  // namespace tidewait::command
