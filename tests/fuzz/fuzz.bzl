"""A fuzz target: a function of bytes that must not fail, whatever these are."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_test")

def fuzz_target(name, deps, runs = 20000):
    """Makes NAME_fuzz_test and NAME_fuzzer of NAME_fuzz.cc.

    The test runs the seeds and `runs` mutations of them, the same each time, with any compiler. The
    fuzzer is clang's libFuzzer, for --config=fuzz; `//...` leaves it out.
    """
    source = name + "_fuzz.cc"
    deps = deps + [
        ":fuzz_target",
        "@com_google_absl//absl/log:check",
    ]
    cc_test(
        name = name + "_fuzz_test",
        size = "small",
        srcs = [
            "mutations_test.cc",
            source,
        ],
        local_defines = ["FUZZ_RUNS=%d" % runs],
        deps = deps + ["@com_google_googletest//:gtest_main"],
    )
    cc_binary(
        name = name + "_fuzzer",
        testonly = True,
        srcs = [source],
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = deps,
    )
