#include "runtime/runtime.h"

int main() {}
