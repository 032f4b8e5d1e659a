#include "epore/runtime/connect_attempt.h"

#include <utility>

#include "epore/runtime/internal/endpoints/connector.h"

namespace epore {

ConnectAttempt::ConnectAttempt() = default;
ConnectAttempt::ConnectAttempt(const ConnectAttempt&) = default;
ConnectAttempt::ConnectAttempt(ConnectAttempt&&) noexcept = default;
ConnectAttempt& ConnectAttempt::operator=(const ConnectAttempt&) = default;
ConnectAttempt& ConnectAttempt::operator=(ConnectAttempt&&) noexcept = default;
ConnectAttempt::~ConnectAttempt() = default;

ConnectAttempt::ConnectAttempt(internal::Ref<internal::Connector> connector)
    : connector_(std::move(connector)) {}

bool ConnectAttempt::cancel() { return connector_ && connector_->cancel(); }

}  // namespace epore
