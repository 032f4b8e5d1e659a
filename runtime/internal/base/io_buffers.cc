#include "epore/runtime/internal/base/io_buffers.h"

namespace epore::internal {

void ReadBuffer::make_room() {
  if (slab_ && slab_->is_only_reference()) {
    used_ = 0;
  } else if (!slab_ || used_ + kWindow > ReadSlab::kSize) {
    slab_ = Ref<ReadSlab>::adopt(new ReadSlab);
    used_ = 0;
  }
}

}  // namespace epore::internal
