#ifndef EPORE_EXAMPLES_TEXT_H_
#define EPORE_EXAMPLES_TEXT_H_

#include <string>
#include <string_view>

namespace examples {

// Decodes %XX once; an escape that is none stays as it is, and so does '+'. The result is any
// bytes.
std::string percent_decode(std::string_view text);

// Replaces what is no UTF-8 by U+FFFD: one for each maximal part of a sequence, as browsers do
// (The Unicode Standard, 3.9, "U+FFFD Substitution of Maximal Subparts").
std::string replace_invalid_utf8(std::string_view bytes);

// Writes control characters as \n, \t, \x1b or \u009b, so that the text stays on its line of a
// log.
std::string on_one_line(std::string_view text);

}  // namespace examples

#endif  // EPORE_EXAMPLES_TEXT_H_
