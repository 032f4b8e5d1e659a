#include "examples/terminal.h"

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/log/check.h"
#include "gtest/gtest.h"

namespace examples {
namespace {

Look look_of(bool is_terminal, const std::map<std::string, std::string>& variables) {
  return Look::of(is_terminal, 0, [&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

// What `use` makes a terminal write.
template <typename Use>
std::string written(const Look& look, Use use) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* const out = ::open_memstream(&text, &size);
  CHECK(out != nullptr);
  {
    Terminal terminal(out, look);
    use(terminal);
  }
  std::fclose(out);
  const absl::Cleanup owner = [&] { std::free(text); };
  return std::string(text, size);
}

TEST(Look, ColorsAndLinesInPlaceAreForTerminals) {
  EXPECT_FALSE(look_of(false, {{"TERM", "xterm"}}).is_live);
  EXPECT_FALSE(look_of(false, {{"TERM", "xterm"}}).has_color);
  EXPECT_TRUE(look_of(true, {{"TERM", "xterm"}}).is_live);
  EXPECT_TRUE(look_of(true, {{"TERM", "xterm"}}).has_color);
  EXPECT_FALSE(look_of(true, {{"NO_COLOR", "1"}}).has_color);
  EXPECT_TRUE(look_of(true, {{"NO_COLOR", ""}}).has_color);
  EXPECT_FALSE(look_of(true, {{"TERM", "dumb"}}).has_color);
}

TEST(Look, TheFirstVariableOfTheLocaleDecides) {
  EXPECT_FALSE(look_of(true, {}).is_utf8);
  EXPECT_TRUE(look_of(true, {{"LANG", "de_DE.UTF-8"}}).is_utf8);
  EXPECT_TRUE(look_of(true, {{"LANG", "C.utf8"}}).is_utf8);
  EXPECT_FALSE(look_of(true, {{"LANG", "de_DE.UTF-8"}, {"LC_ALL", "C"}}).is_utf8);
  EXPECT_TRUE(look_of(true, {{"LANG", "C"}, {"LC_ALL", ""}, {"LC_CTYPE", "C.UTF-8"}}).is_utf8);
}

TEST(Columns, CountsWhatIsSeen) {
  EXPECT_EQ(columns("plain"), 5u);
  EXPECT_EQ(columns("█▌"), 2u);
  EXPECT_EQ(columns("\x1b[1mbold\x1b[0m"), 4u);
}

TEST(DrawBar, IsAsWideAsAsked) {
  EXPECT_EQ(draw_bar(0, 4, true), "    ");
  EXPECT_EQ(draw_bar(1, 4, true), "████");
  EXPECT_EQ(draw_bar(0.5, 3, true), "█▌ ");
  EXPECT_EQ(draw_bar(7, 2, true), "██");
  EXPECT_EQ(draw_bar(-1, 2, true), "  ");
  EXPECT_EQ(draw_bar(0.5, 4, false), "##..");
}

TEST(Terminal, ProgressIsWrittenOverInPlace) {
  Look look;
  look.is_live = true;
  EXPECT_EQ(written(look,
                    [](Terminal& terminal) {
                      terminal.show_progress("half way");
                      terminal.show_progress("done");
                      terminal.print("a line");
                    }),
            "\rhalf way\rdone    \r    \ra line\n");
}

TEST(Terminal, WithoutATerminalThereAreLinesOnly) {
  EXPECT_EQ(written(Look(),
                    [](Terminal& terminal) {
                      terminal.show_progress("half way");
                      terminal.print(terminal.bold("a line"));
                    }),
            "a line\n");
}

TEST(Terminal, ProgressThatDoesNotFitIsNotShown) {
  Look look;
  look.is_live = true;
  look.width = 5;
  EXPECT_EQ(written(look, [](Terminal& terminal) { terminal.show_progress("12345"); }), "");
}

}  // namespace
}  // namespace examples
