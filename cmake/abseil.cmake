# Finds Abseil, or takes it: the targets absl::... that EPORE_ABSEIL names.

if(NOT TARGET absl::status)
  # A version that does not exist: this tells what is installed and takes nothing of it, so that its targets are not in
  # the way of a newer one's.
  set(dir "${absl_DIR}")
  find_package(absl 99999999 QUIET CONFIG)
  set(absl_DIR "${dir}" CACHE PATH "The folder of abslConfig.cmake" FORCE)
  list(POP_FRONT absl_CONSIDERED_VERSIONS installed)
  list(POP_FRONT absl_CONSIDERED_CONFIGS config)
  # Debian 13's has a string_view of its own, which is part of its ABI.
  set(prefix "${config}")
  while(prefix AND NOT prefix STREQUAL "/" AND NOT EXISTS "${prefix}/include/absl/base/options.h")
    get_filename_component(prefix "${prefix}" DIRECTORY)
  endwhile()
  set(options "${prefix}/include/absl/base/options.h")
  if(EXISTS "${options}")
    file(STRINGS "${options}" has_own_string_view REGEX "^#define ABSL_OPTION_USE_STD_STRING_VIEW 0")
  endif()
  if(NOT config)
    set(why "no package of it was found")
  elseif(installed VERSION_LESS EPORE_ABSEIL_VERSION AND NOT installed STREQUAL unknown)
    set(why "the installed one is ${installed}")
  elseif(has_own_string_view)
    set(why "in the installed one, ${installed}, absl::string_view is not std::string_view")
  else()
    get_filename_component(config "${config}" DIRECTORY)
    find_package(absl REQUIRED CONFIG PATHS "${config}" NO_DEFAULT_PATH)
  endif()
  if(why AND EPORE_FETCH_ABSEIL)
    # FETCHCONTENT_SOURCE_DIR_ABSL names an unpacked copy, for builds without a network.
    include(FetchContent)
    if(POLICY CMP0135)
      cmake_policy(SET CMP0135 NEW) # CMake 3.24 warns without.
    endif()
    FetchContent_Declare(
      absl
      URL https://github.com/abseil/abseil-cpp/archive/refs/tags/20240722.0.tar.gz
      URL_HASH SHA256=f50e5ac311a81382da7fa75b97310e4b9006474f9560ac46f54a9967f07d4ae3)
    if(NOT CMAKE_CXX_STANDARD OR CMAKE_CXX_STANDARD LESS 20)
      set(CMAKE_CXX_STANDARD 20)
    endif()
    set(CMAKE_POSITION_INDEPENDENT_CODE ON)
    set(ABSL_PROPAGATE_CXX_STD ON)
    set(ABSL_ENABLE_INSTALL ${EPORE_INSTALL})
    FetchContent_MakeAvailable(absl)
  elseif(why)
    message(
      FATAL_ERROR
        "epore needs Abseil ${EPORE_ABSEIL_VERSION} or newer, and ${why}. Install one and name it with -Dabsl_DIR "
        "or -DCMAKE_PREFIX_PATH, or let epore build it: -DEPORE_FETCH_ABSEIL=ON")
  endif()
endif()

# A static Abseil inside a shared epore would be a second one beside that of the program.
if(BUILD_SHARED_LIBS)
  get_target_property(type absl::status TYPE)
  if(type STREQUAL STATIC_LIBRARY)
    message(FATAL_ERROR "a shared epore needs a shared Abseil (its own -DBUILD_SHARED_LIBS=ON)")
  endif()
endif()
