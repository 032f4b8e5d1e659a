#include <boost/asio.hpp>

int main() {}
