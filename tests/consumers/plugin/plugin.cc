// The service as a plugin, which a host loads that knows nothing of epore.
#define main service  // a part of the program here
#include "service.cc"
#undef main

extern "C" int run_service() { return service(); }
