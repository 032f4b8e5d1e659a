// Loads the plugin, runs its service and unloads it: twice, for what the first time leaves behind.
#include <dlfcn.h>

#include <cstdio>

int main() {
  for (int i = 0; i < 2; ++i) {
    void* const plugin = ::dlopen("./plugin.so", RTLD_NOW | RTLD_LOCAL);
    if (plugin == nullptr) {
      std::fprintf(stderr, "%s\n", ::dlerror());
      return 1;
    }
    const auto run = reinterpret_cast<int (*)()>(::dlsym(plugin, "run_service"));
    if (run == nullptr || run() != 0 || ::dlclose(plugin) != 0) return 1;
  }
}
