"""C libraries that the machine has, or not: those of the benchmarks' contenders, and of hosts in examples."""

def _system_libraries_impl(repository_ctx):
    build = 'load("@rules_cc//cc:defs.bzl", "cc_library")\n\npackage(default_visibility = ["//visibility:public"])\n'
    for name, header in repository_ctx.attr.headers.items():
        has_header = repository_ctx.path(header).exists
        library = None
        for candidate in repository_ctx.attr.libraries[name]:
            if repository_ctx.path(candidate).exists:
                library = candidate
                break
        if has_header and library:
            # Headers that are not in a folder where compilers look are taken in here.
            includes = []
            for folder in repository_ctx.attr.folders.get(name, []):
                if repository_ctx.path(folder).exists:
                    includes.append("%s_%d" % (name, len(includes)))
                    repository_ctx.symlink(folder, includes[-1])
            headers = [include + "/**/*.h" for include in includes]
            headers = "glob(%r)" % headers if headers else "[]"

            # Not on the machine's list of folders: a file, and so the static library where there is one.
            build += 'cc_library(name = "%s", hdrs = %s, includes = %r, defines = ["EPORE_HAVE_%s=1"], linkopts = ["%s"] + %r)\n' % (
                name,
                headers,
                includes,
                name.upper(),
                library,
                repository_ctx.attr.linkopts,
            )
        else:
            build += 'cc_library(name = "%s")\n' % name
    repository_ctx.file("WORKSPACE", "")
    repository_ctx.file("BUILD", build)

system_libraries = repository_rule(
    doc = "A cc_library for each name, which defines EPORE_HAVE_NAME=1 and links the first of its " +
          "libraries that exists; an empty one where that or the header is missing.",
    implementation = _system_libraries_impl,
    # Looked at again whenever Bazel starts.
    local = True,
    attrs = {
        "folders": attr.string_list_dict(),
        "headers": attr.string_dict(mandatory = True),
        "libraries": attr.string_list_dict(mandatory = True),
        "linkopts": attr.string_list(),
    },
)
