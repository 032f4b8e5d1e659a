#include "epore/runtime/send_result.h"

#include "absl/status/status.h"

namespace epore {

absl::Status SendResult::status() const {
  switch (value_) {
    case queued:
    case high:
      return absl::OkStatus();
    case closed:
      return absl::FailedPreconditionError("send: the connection is closed");
    case over_cap:
      return absl::ResourceExhaustedError("send: more would be queued than the cap allows");
    case no_memory:
      return absl::ResourceExhaustedError("send: no memory");
  }
  return absl::InternalError("send: no such result");
}

}  // namespace epore
