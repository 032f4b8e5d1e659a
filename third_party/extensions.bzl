"""For MODULE.bazel."""

load(":repositories.bzl", "development_repositories")

def _development_impl(_module_ctx):
    development_repositories()

development = module_extension(
    doc = "What only the examples and benchmarks fetch.",
    implementation = _development_impl,
)
