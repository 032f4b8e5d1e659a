#!/bin/sh
# Makes the comments of a header Doxygen's, where they have lines of their own. What is indented in them is a program.
# Leaves out what Doxygen cannot read or should not show: specialisations of std::hash, internals, titles of sections.
exec sed -E '
  /^template <>$/ { N; /struct std::hash/ { :hash; N; /\n\};$/!b hash; d; }; }
  /^namespace internal \{$/,/^\}  \/\/ namespace internal$/d
  /^ *\/\/ -- .* --$/,/^$/b
  s,^( *)//$,\1///,
  s,^( *)//   ( *[^ ]),\1///     \2,
  s,^( *)// ,\1/// ,
  /^ *\/\/\// s,::ffff,:\&#58;ffff,
' "$1"
