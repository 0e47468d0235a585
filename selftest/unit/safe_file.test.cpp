// SPDX-License-Identifier: BSL-1.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/safe_file.hpp>

#include "swapped_system.hpp"

namespace {

using testing::HasSubstr;
using tidewait::errc;
using tidewait::detail::append_own_file;
using tidewait::detail::open_own;
using tidewait::detail::open_own_directory;
using tidewait::detail::opened_file;
using tidewait::detail::read_own_file;
using tidewait::detail::replace_file;
using tidewait::detail::unique_fd;

constexpr uid_t nobody = 65534;

/// Runs each test in a new directory, and deletes it.
class SafeFile : public testing::Test {
 protected:
  SafeFile() {
    std::string name = testing::TempDir() + "tidewait-safe-file-XXXXXX";
    if (::mkdtemp(name.data()) != nullptr) directory_ = name;
  }
  ~SafeFile() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  std::string path(const std::string& name) const { return directory_ + '/' + name; }
  std::string make(const std::string& name, const std::string& text = "old\n",
                   mode_t mode = 0644) const {
    std::ofstream{path(name), std::ios::binary} << text;
    ::chmod(path(name).c_str(), mode);
    return path(name);
  }
  static std::string text_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream{path, std::ios::binary}.rdbuf();
    return text.str();
  }
  static mode_t mode_of(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0 ? info.st_mode & 07777U : 0;
  }
  std::size_t files() const {
    std::size_t count = 0;
    for (const auto& each : std::filesystem::directory_iterator{directory_}) {
      static_cast<void>(each);
      ++count;
    }
    return count;
  }

  std::string directory_;
};

/// Neither read nor appended to; `why`: what is said of it.
void expect_refused(const std::string& path, const std::string& why) {
  std::string text;
  const opened_file read = read_own_file(path.c_str(), text, 100);
  EXPECT_FALSE(read) << path;
  EXPECT_EQ(read.error, errc::untrusted_file) << path;
  EXPECT_THAT(to_text(read), HasSubstr(why));
  EXPECT_EQ(text, "");
  const opened_file appended = append_own_file(path.c_str(), "new\n");
  EXPECT_FALSE(appended) << path;
  EXPECT_EQ(appended.error, errc::untrusted_file) << path;
  EXPECT_THAT(to_text(appended), HasSubstr(why));
}

TEST_F(SafeFile, IsReadAndAppendedTo) {
  const std::string file = make("file");
  EXPECT_FALSE(append_own_file(file.c_str(), "new\n").error);
  std::string text;
  EXPECT_FALSE(read_own_file(file.c_str(), text, 100).error);
  EXPECT_EQ(text, "old\nnew\n");
}

TEST_F(SafeFile, IsMadeSuchThatNobodyElseMayWriteToIt) {
  const mode_t before = ::umask(0002);
  EXPECT_FALSE(append_own_file(path("group").c_str(), "new\n").error);
  ::umask(0000);
  EXPECT_FALSE(append_own_file(path("all").c_str(), "new\n").error);
  ::umask(before);
  EXPECT_EQ(mode_of(path("group")), 0644U);
  EXPECT_EQ(mode_of(path("all")), 0644U);
  EXPECT_FALSE(append_own_file(path("all").c_str(), "more\n").error) << "it is its own";
}

TEST_F(SafeFile, IsNotFoundThroughASymbolicLink) {
  const std::string file = make("file");
  ASSERT_EQ(::symlink(file.c_str(), path("link").c_str()), 0);
  ASSERT_EQ(::symlink(path("nothing").c_str(), path("dangling").c_str()), 0);
  ASSERT_EQ(::symlink("loop", path("loop").c_str()), 0);
  for (const char* const each : {"link", "dangling", "loop"})
    expect_refused(path(each), "it is a symbolic link");
  EXPECT_EQ(text_of(file), "old\n");
  EXPECT_FALSE(std::filesystem::exists(path("nothing")));
}

TEST_F(SafeFile, HasOneName) {
  const std::string file = make("file");
  ASSERT_EQ(::link(file.c_str(), path("second").c_str()), 0);
  expect_refused(path("second"), "hard link");
  expect_refused(file, "hard link");
  EXPECT_EQ(text_of(file), "old\n");
}

TEST_F(SafeFile, IsNoPipeWithOrWithoutAReader) {
  const std::string pipe = path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  expect_refused(pipe, "it is not a regular file");
  const unique_fd reader{::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  expect_refused(pipe, "it is not a regular file");
  char got = '\0';
  EXPECT_EQ(::read(reader.get(), &got, 1), 0) << "nothing was written to it";
}

TEST_F(SafeFile, IsNoDirectoryAndNoDevice) {
  expect_refused(directory_, "it is not a regular file");
  expect_refused("/dev/full", "it is not a regular file");
  expect_refused("/dev/zero", "it is not a regular file");
  EXPECT_EQ(append_own_file(path("no/such/directory").c_str(), "new\n").error,
            std::errc::no_such_file_or_directory);
}

// GCC makes no function pointer of a lambda with "...".
int opens = 0;
int counted_open(int, const char*, int, ...) {
  ++opens;
  errno = EIO;
  return -1;
}
std::string pipe_to_open;
int open_the_pipe(int, const char*, int flags, ...) {
  return ::open(pipe_to_open.c_str(), flags & ~O_CREAT);
}

TEST_F(SafeFile, IsNotOpenedBeforeItIsKnownWhatItIs) {
  const swapped_system restore;
  tidewait::detail::sys.openat = counted_open;
  opens = 0;
  expect_refused("/dev/null", "it is not a regular file");
  EXPECT_EQ(opens, 0);
}

TEST_F(SafeFile, ThatIsExchangedWhileItIsOpenedIsRefused) {
  make("file");
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const swapped_system restore;
  tidewait::detail::sys.openat = open_the_pipe;
  pipe_to_open = path("pipe");
  const opened_file read = open_own(AT_FDCWD, path("file").c_str(), O_RDONLY, S_IFREG);
  EXPECT_FALSE(read);
  EXPECT_EQ(read.error, errc::untrusted_file);
}

TEST_F(SafeFile, IsWrittenByNobodyElse) {
  expect_refused(make("group", "old\n", 0664), "other users may write to it");
  expect_refused(make("others", "old\n", 0646), "other users may write to it");
  EXPECT_EQ(text_of(path("group")), "old\n");
}

TEST_F(SafeFile, BelongsToThisUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  const std::string file = make("file");
  ASSERT_EQ(::chown(file.c_str(), nobody, nobody), 0);
  expect_refused(file, "it belongs to uid 65534");
  EXPECT_EQ(text_of(file), "old\n");
}

TEST_F(SafeFile, OfOthersInAStickyDirectoryIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  const std::string file = make("file");
  ASSERT_EQ(::chmod(directory_.c_str(), 01777), 0);
  ASSERT_EQ(::symlink(file.c_str(), path("link").c_str()), 0);
  ASSERT_EQ(::lchown(path("link").c_str(), nobody, nobody), 0);
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0666), 0);
  ASSERT_EQ(::chown(path("pipe").c_str(), nobody, nobody), 0);
  expect_refused(path("link"), "it is a symbolic link");
  expect_refused(path("pipe"), "it is not a regular file");
  EXPECT_EQ(replace_file(path("pipe"), "new\n"), errc::untrusted_file);
  EXPECT_EQ(text_of(file), "old\n");
}

TEST_F(SafeFile, OfAnySizeIsReadFromTheFirstWholeLineOfItsEnd) {
  const std::string file = make("file", "first\nsecond\nthird\n");
  std::string text;
  const auto read = [&](std::size_t most) {
    const opened_file opened = read_own_file(file.c_str(), text, most);
    return opened.error ? opened.error.message() : text;
  };
  EXPECT_EQ(read(19), "first\nsecond\nthird\n");
  EXPECT_EQ(read(18), "second\nthird\n");
  EXPECT_EQ(read(13), "second\nthird\n");
  EXPECT_EQ(read(12), "third\n");
  EXPECT_EQ(read(5), "");
  EXPECT_EQ(read(0), "");
  make("file", "");
  EXPECT_EQ(read(0), "");
}

TEST_F(SafeFile, OfTwentyGigabytesIsReadToo) {
  const std::string file = make("file", "");
  ASSERT_EQ(::truncate(file.c_str(), off_t{20} << 30U), 0);
  EXPECT_FALSE(append_own_file(file.c_str(), "new\n").error);
  std::string text;
  EXPECT_FALSE(read_own_file(file.c_str(), text, 1000).error);
  EXPECT_EQ(text, "new\n");
}

TEST_F(SafeFile, HasATornLineEndedBeforeTheNextOne) {
  const std::string file = make("file", "whole\nto");
  EXPECT_FALSE(append_own_file(file.c_str(), "new\n").error);
  EXPECT_FALSE(append_own_file(file.c_str(), "newer\n").error);
  EXPECT_EQ(text_of(file), "whole\nto\nnew\nnewer\n");
}

TEST_F(SafeFile, ThatCannotBeWrittenIsTheSystemsError) {
  const std::string file = make("file");
  const swapped_system restore;
  tidewait::detail::sys.write = [](int, const void*, std::size_t) -> ssize_t {
    errno = ENOSPC;
    return -1;
  };
  EXPECT_EQ(append_own_file(file.c_str(), "new\n").error, std::errc::no_space_on_device);
  EXPECT_EQ(replace_file(file, "new\n"), std::errc::no_space_on_device);
  EXPECT_EQ(text_of(file), "old\n");
  EXPECT_EQ(files(), 1U) << "no temporary file stays";
}

TEST_F(SafeFile, DirectoryIsOnesOwn) {
  EXPECT_TRUE(open_own_directory(directory_.c_str()));
  ASSERT_EQ(::symlink(directory_.c_str(), path("link").c_str()), 0);
  EXPECT_EQ(open_own_directory(path("link").c_str()).error, errc::untrusted_file);
  EXPECT_EQ(open_own_directory(make("file").c_str()).error, errc::untrusted_file);
  ASSERT_EQ(::chmod(directory_.c_str(), 01777), 0);
  EXPECT_EQ(open_own_directory(directory_.c_str()).error, errc::untrusted_file);
  EXPECT_EQ(open_own_directory(path("none").c_str()).error, std::errc::no_such_file_or_directory);
}

TEST_F(SafeFile, IsReplacedAsAWhole) {
  EXPECT_FALSE(replace_file(path("file"), "new\n"));
  EXPECT_EQ(text_of(path("file")), "new\n");
  EXPECT_FALSE(replace_file(path("file"), "newer\n"));
  EXPECT_EQ(text_of(path("file")), "newer\n");
  EXPECT_EQ(files(), 1U);
}

TEST_F(SafeFile, TakesThePlaceOfALinkAndDoesNotFollowIt) {
  const std::string file = make("file");
  ASSERT_EQ(::symlink(file.c_str(), path("link").c_str()), 0);
  ASSERT_EQ(::link(file.c_str(), path("second").c_str()), 0);
  ASSERT_EQ(::symlink(path("nothing").c_str(), path("dangling").c_str()), 0);
  for (const char* const each : {"link", "second", "dangling"}) {
    EXPECT_FALSE(replace_file(path(each), "new\n"));
    EXPECT_TRUE(std::filesystem::is_regular_file(std::filesystem::symlink_status(path(each))));
    EXPECT_EQ(text_of(path(each)), "new\n");
  }
  EXPECT_EQ(text_of(file), "old\n");
  EXPECT_FALSE(std::filesystem::exists(path("nothing")));
}

TEST_F(SafeFile, IsWrittenInPlaceWhereItIsAPipeOrADevice) {
  const std::string pipe = path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(replace_file(pipe, "new\n"), std::errc::no_such_device_or_address)
      << "nobody reads, and nobody is waited for";
  const unique_fd reader{::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  EXPECT_FALSE(replace_file(pipe, "new\n"));
  char got[8] = {};
  EXPECT_EQ(::read(reader.get(), got, sizeof got), 4);
  ASSERT_EQ(::symlink("/dev/null", path("null").c_str()), 0);
  EXPECT_FALSE(replace_file(path("null"), "new\n"));
  EXPECT_TRUE(std::filesystem::is_symlink(path("null")));
  EXPECT_EQ(replace_file("/dev/full", "new\n"), std::errc::no_space_on_device);
  EXPECT_EQ(replace_file(directory_, "new\n"), std::errc::is_a_directory);
}

}  // namespace
