# NEVER RUN: written from Conan 2's manual. Run `conan create packaging/conan` in the top folder of epore.
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load


class Epore(ConanFile):
    name = "epore"
    description = "Event queue and multithreaded reactor runtime for C++20 services"
    license = "Apache-2.0"
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "fPIC": [True, False]}
    default_options = {"shared": False, "fPIC": True}
    implements = ["auto_shared_fpic"]

    @property
    def _tree(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        header = load(self, os.path.join(self._tree, "poll", "version.h"))
        self.version = ".".join(re.findall(r"#define EPORE_VERSION_[A-Z]+ (\d+)", header))

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "cmake/*", "poll/*", "runtime/*", "LICENSE"):
            copy(self, pattern, self._tree, self.export_sources_folder)

    def configure(self):
        if self.options.shared:
            self.options["abseil"].shared = True  # a static one would be a second one beside the program's

    def requirements(self):
        self.requires("abseil/[>=20240116.1]", transitive_headers=True, transitive_libs=True)

    def validate(self):
        check_min_cppstd(self, 20)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        CMakeToolchain(self).generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()

    def package_info(self):
        self.cpp_info.set_property("cmake_find_mode", "none")  # epore's own files
        self.cpp_info.builddirs = [os.path.join("lib", "cmake", "epore")]
        self.cpp_info.libs = ["epore"]
        self.cpp_info.system_libs = ["pthread"]
