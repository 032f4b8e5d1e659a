"""What a compiler needs, outside of Bazel, to include the headers of a cc_library."""

def _in_runfiles(path):
    return "../" + path[len("external/"):] if path.startswith("external/") else path

def _compile_inputs_impl(ctx):
    context = ctx.attr.dep[CcInfo].compilation_context
    flags = []
    for option, folders in [
        ("-iquote", context.quote_includes),
        ("-I", context.includes),
        ("-isystem", context.system_includes),
    ]:
        # Folders of generated headers hold nothing here.
        for folder in folders.to_list():
            if not folder.startswith("bazel-out/"):
                flags += [option, _in_runfiles(folder)]
    flags += ["-D" + define for define in context.defines.to_list()]
    output = ctx.actions.declare_file(ctx.label.name + ".flags")
    ctx.actions.write(output, "".join([flag + "\n" for flag in flags]))
    return [DefaultInfo(
        files = depset([output]),
        runfiles = ctx.runfiles([output], transitive_files = context.headers),
    )]

compile_inputs = rule(
    doc = "A file NAME.flags, one compiler flag per line, right in the runfiles folder of this " +
          "workspace, and in the runfiles the headers.",
    implementation = _compile_inputs_impl,
    attrs = {"dep": attr.label(mandatory = True, providers = [CcInfo])},
)
