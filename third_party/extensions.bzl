"""For MODULE.bazel."""

load(":repositories.bzl", "development_repositories", "optional_repositories")

def _development_impl(_module_ctx):
    development_repositories()

development = module_extension(
    doc = "What only the examples and benchmarks fetch.",
    implementation = _development_impl,
)

def _optional_impl(_module_ctx):
    optional_repositories()

optional = module_extension(
    doc = "What the optional targets take from the machine.",
    implementation = _optional_impl,
)
