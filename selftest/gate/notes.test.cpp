// SPDX-License-Identifier: BSL-1.0
//
// The directory of notes: what a gate removes there, whom it ends by it, and what it leaves alone.
#include <sys/stat.h>

#include <gmock/gmock.h>

#include "private_world.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using tidewait::command::note_of_this_run;
using tidewait::command::parse_run_note;
using tidewait::command::run_note;
using tidewait::command::to_text;
using namespace world;

run_note example() {
  run_note note;
  note.pid = 4711;
  note.start = 123456;
  note.boot = "6f1c2d9e-0000-4000-8000-123456789abc";
  note.machine = "0123456789abcdef";
  note.pid_namespace = 4026531836;
  note.uid = 1000;
  return note;
}

TEST(RunNote, IsReadAsItWasWritten) {
  const auto note = parse_run_note(to_text(example()));
  ASSERT_TRUE(note);
  EXPECT_EQ(to_text(*note), to_text(example()));
  EXPECT_TRUE(parse_run_note(to_text(note_of_this_run())));
}

TEST(RunNote, IsNothingElse) {
  const std::string text = to_text(example());
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(parse_run_note(text.substr(0, size))) << size;
  }
  const auto with = [&text](const std::string& old, const std::string& instead) {
    std::string changed = text;
    changed.replace(changed.find(old), old.size(), instead);
    return changed;
  };
  for (const std::string& other :
       {text + '\n', text + "more\n", with("4711", "04711"), with("4711", "+4711"),
        with("4711", "-4711"), with("4711", "0x12"), with("4711", "99999999999"),
        with("pid 4711", "pid  4711"), with("pid 4711", "pid 4711 "), with("run 1", "run 2"),
        with("uid 1000", "uid 4294967296"), with("\nstart", "\r\nstart"), with("boot ", "boot"),
        std::string{"4711 123456\n"}, std::string{"root:x:0:0:root:/root:/bin/sh\n"}}) {
    EXPECT_FALSE(parse_run_note(other)) << other;
  }
}

TEST(GateBegin, RemovesNoFileThatIsNoNote) {
  const directory elsewhere;
  const directory runs;
  const std::string note = to_text(interrupted_note());
  write_text(elsewhere / "note", note);
  const std::vector<std::pair<std::string, std::string>> files{
      {"shadow", "root:*:1:\n"},
      {"hosts", note},             // the form alone does not make it one
      {"0123456789ABCDEF", note},  // nor a name that is nearly a mark
      {"0123456789abcde", note},
      {"0123456789abcdef0", note},
      {"0123456789abcdeg", note},
      {"aaaaaaaaaaaaaaaa", "root:*:1:\n"},  // nor the name alone
      {"aaaaaaaaaaaaaaab", ""},
      {"aaaaaaaaaaaaaaac", "4711 123456\n"},
      {"aaaaaaaaaaaaaaad", note.substr(0, note.size() - 1)},
      {"aaaaaaaaaaaaaaae", note + "more\n"},
      {"aaaaaaaaaaaaaaaf", std::string(5000000, 'x')},
  };
  for (const auto& [name, text] : files) write_text(runs / name, text);
  ASSERT_EQ(::symlink((elsewhere / "note").c_str(), (runs / "bbbbbbbbbbbbbbb0").c_str()), 0);
  ASSERT_EQ(::link((elsewhere / "note").c_str(), (runs / "bbbbbbbbbbbbbbb1").c_str()), 0);
  ASSERT_EQ(::mkfifo((runs / "bbbbbbbbbbbbbbb2").c_str(), 0600), 0);
  ASSERT_EQ(::mkdir((runs / "bbbbbbbbbbbbbbb3").c_str(), 0700), 0);
  write_text(runs / "bbbbbbbbbbbbbbb4", note);
  ::chmod((runs / "bbbbbbbbbbbbbbb4").c_str(), 0666);

  const run_result begun = gate("begin", runs.path());
  EXPECT_EQ(begun.status, 0) << begun.err;
  for (const auto& [name, text] : files) {
    EXPECT_EQ(text_of(runs / name), text) << name;
    const bool named = name.size() == 16 && name[0] == 'a';
    EXPECT_EQ(begun.err.find(name + ':') != std::string::npos, named) << name;
  }
  struct stat info {};
  for (const char digit : {'0', '1', '2', '3', '4'}) {
    const std::string name = std::string{"bbbbbbbbbbbbbbb"} + digit;
    EXPECT_EQ(::lstat((runs / name).c_str(), &info), 0) << name;
    EXPECT_THAT(begun.err, HasSubstr(name));
  }
  EXPECT_EQ(text_of(elsewhere / "note"), note);
}

TEST(GateBegin, RefusesADirectoryThatItCannotTrust) {
  const directory elsewhere;
  const directory place;
  write_text(elsewhere / "hosts", "127.0.0.1\n");
  const std::string link = place / "link";
  ASSERT_EQ(::symlink(elsewhere.path().c_str(), link.c_str()), 0);
  const std::string open = place / "open";
  ASSERT_EQ(::mkdir(open.c_str(), 0700), 0);
  ASSERT_EQ(::chmod(open.c_str(), 0777), 0);
  write_text(place / "file", "");
  for (const std::string& runs :
       {link, link + '/', link + "//", open, place / "file", place / "none", std::string{}}) {
    for (const char* const what : {"begin", "end"}) {
      const run_result result = gate(what, runs);
      EXPECT_EQ(result.status, 3) << runs << '\n' << result.err;
      EXPECT_THAT(result.err, HasSubstr("directory of runs"));
    }
  }
  EXPECT_EQ(text_of(elsewhere / "hosts"), "127.0.0.1\n");
  EXPECT_EQ(text_of(elsewhere / mark), "(none)");
}

TEST(GateBegin, RefusesTheDirectoryOfAnotherUser) {
  SKIP_UNLESS_ROOT();
  const directory runs{alice};
  const run_result result = gate("begin", runs.path());
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.err, HasSubstr("it belongs to uid 64101"));
}

TEST(GateBegin, WritesANoteThatItBelievesWhateverTheUmask) {
  const directory runs;
  gate_options options;
  options.prepare = [] { ::umask(0); };
  EXPECT_EQ(gate("begin", runs.path(), options).status, 0);
  struct stat info {};
  ASSERT_EQ(::stat((runs / mark).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_TRUE(parse_run_note(text_of(runs / mark)));
  options.which = other_mark;
  EXPECT_EQ(gate("begin", runs.path(), options).err, "");
  EXPECT_TRUE(parse_run_note(text_of(runs / mark))) << "this process lives";
}

TEST(GateBegin, DoesNotReplaceWhatIsNoNote) {
  const directory runs;
  write_text(runs / mark, "mine\n");
  for (const char* const what : {"begin", "end"}) {
    const run_result result = gate(what, runs.path());
    EXPECT_EQ(result.status, 3);
    EXPECT_THAT(result.err, HasSubstr("it is not a note of a run"));
  }
  EXPECT_EQ(text_of(runs / mark), "mine\n");
}

TEST(GateBegin, SaysToMountProcWhereThereIsNone) {
  const directory runs;
  gate_options options;
  options.prepare = [] {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/proc", "tmpfs", 0, nullptr) != 0)
      ::_exit(77);
  };
  const run_result result = gate("begin", runs.path(), options);
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.err, HasSubstr("reading /proc/self (mount /proc first)"));
}

TEST(Gate, EndsWithTwoWithoutAMark) {
  const directory runs;
  for (const char* const which : {"", "00112233445566a", "00112233445566a77", "00112233445566A7",
                                  "00112233445566g7", "00112233445566a7:", "../../../etc/pas"}) {
    gate_options options;
    options.which = which;
    for (const char* const what : {"begin", "end"}) {
      const run_result result = gate(what, runs.path(), options);
      EXPECT_EQ(result.status, 2) << which;
      EXPECT_THAT(result.err, HasSubstr("TIDEWAIT_RUN"));
    }
  }
}

TEST(GateBegin, EndsWhatAnInterruptedRunLeft) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    process left{sleeper, ::getuid(), other_mark};
    write_text(runs / other_mark, to_text(interrupted_note()));
    const run_result begun = gate("begin", runs.path());
    say(in_words(begun) + "left: " + left.state() + "\nnote: " + text_of(runs / other_mark));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, StartsWith("exit code 0\n"));
  EXPECT_THAT(said, AllOf(HasSubstr("an earlier run that was interrupted left 1 process"),
                          HasSubstr("sleep 60"), HasSubstr("  terminated\n"),
                          HasSubstr("left: ended"), HasSubstr("note: (none)")));
}

TEST(GateBegin, EndsNothingByANoteThatIsNotItsOwn) {
  const std::string said = in_private_world([](auto say) {
    const run_note own = interrupted_note();
    run_note of_other_user = own;
    of_other_user.uid += 1;
    run_note of_other_namespace = own;
    of_other_namespace.pid_namespace += 1;
    run_note of_other_machine = own;
    of_other_machine.boot[0] = of_other_machine.boot[0] == '0' ? '1' : '0';
    of_other_machine.machine = "0000000000000000";
    run_note of_nobody_visible = own;
    of_nobody_visible.pid = 0;
    run_note of_a_live_process = own;
    of_a_live_process.pid = ::getpid();
    of_a_live_process.start =
        tidewait::detail::read_process_stat(tidewait::detail::open_process("self").get())->start;
    const std::string whole = to_text(own);
    for (const std::string& text :
         {std::string{}, std::to_string(own.pid) + " 1\n", whole.substr(0, 40), whole + whole,
          to_text(of_other_user), to_text(of_other_namespace), to_text(of_other_machine),
          to_text(of_nobody_visible), to_text(of_a_live_process)}) {
      const directory runs;
      process worn{sleeper, ::getuid(), other_mark};
      write_text(runs / other_mark, text);
      const run_result begun = gate("begin", runs.path());
      const bool is_said = begun.err.find(other_mark) != std::string::npos;
      const bool lives = text == to_text(of_a_live_process);
      if (begun.status != 0 || !worn.alive() || text_of(runs / other_mark) != text ||
          is_said == lives) {
        say(text + in_words(begun) + worn.state() + '\n' + text_of(runs / other_mark));
      }
    }
    say("all");
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "all");
}

TEST(GateBegin, RemovesTheNoteOfARunBeforeThisBootAndEndsNothing) {
  const std::string said = in_private_world([](auto say) {
    run_note note = interrupted_note();
    note.boot[0] = note.boot[0] == '0' ? '1' : '0';
    const directory runs;
    process worn{sleeper, ::getuid(), other_mark};
    write_text(runs / other_mark, to_text(note));
    const run_result begun = gate("begin", runs.path());
    say(in_words(begun) + worn.state() + ' ' + text_of(runs / other_mark));
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "exit code 0\nalive (none)");
}

// The host and a container with the same build directory.
TEST(GateBegin, LeavesALiveRunInAnotherPidNamespaceAlone) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    forked container{[&](auto tell) {
      if (const std::string why = enter(); !why.empty()) {
        tell(why + '\n');
        return;
      }
      process served{sleeper, ::getuid(), other_mark};
      gate_options inside;
      inside.which = other_mark;
      tell(std::to_string(gate("begin", runs.path(), inside).status) + '\n');
      while (served.alive()) ::usleep(1000);
      tell("ended\n");
      ::_exit(0);
    }};
    say(container.line() + '\n');
    say(in_words(gate("begin", runs.path())));
    say(std::to_string(wearers(other_mark, "sleep")));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("0\nexit code 0\n"), HasSubstr("another pid namespace"),
                          testing::EndsWith("\n1")));
}

TEST(GateBegin, ManyThatStartTogetherEndNoneOfTheOthers) {
  const std::string said = in_private_world([](auto say) {
    constexpr int rounds = 5;
    constexpr int gates = 6;
    for (int round = 0; round < rounds; ++round) {
      const directory runs;
      std::vector<forked> all;
      for (int i = 0; i < gates; ++i) {
        all.emplace_back([&runs, i](auto tell) {
          const std::string own = mark.substr(1) + std::to_string(i);
          process served{sleeper, ::getuid(), own};
          gate_options options;
          options.which = own;
          const run_result begun = gate("begin", runs.path(), options);
          tell((begun.status == 0 && begun.err.empty() ? "fine" : in_words(begun)) + '\n');
          ::pause();
        });
      }
      for (forked& each : all) {
        if (const std::string line = each.line(); line != "fine") say(line + each.line());
      }
      for (int i = 0; i < gates; ++i) {
        const std::string own = mark.substr(1) + std::to_string(i);
        // Those of the rounds before sleep on.
        const auto sleeping = wearers(own, "sleep");
        if (sleeping != static_cast<std::size_t>(round) + 1)
          say(own + " has " + std::to_string(sleeping) + '\n');
      }
    }
    say("all");
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "all");
}

}  // namespace
