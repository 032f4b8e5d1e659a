#include "epore/runtime/runtime.h"

int main() {}
