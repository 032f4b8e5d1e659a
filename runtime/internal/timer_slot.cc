#include "runtime/internal/timer_slot.h"

#include <cstdint>
#include <utility>

namespace epore::internal {

void TimerSlot::free(Piece* first) {
  while (first != nullptr) delete std::exchange(first, first->next);
}

TimerSlot::Piece* TimerSlot::Pool::take() {
  reserve();
  return std::exchange(free_, free_->next);
}

void TimerSlot::Pool::give(Piece* piece) { piece->next = std::exchange(free_, piece); }

void TimerSlot::add(TimerNode& node, Pool& pool) {
  if (empty() || filled_ == Piece::kCells) {
    Piece* const piece = pool.take();
    piece->next = std::exchange(newest_, piece);
    filled_ = 0;
  }
  node.cell_ = &newest_->cells[filled_++];
  *node.cell_ = &node;
}

void TimerSlot::remove(TimerNode& node, Pool& pool) {
  TimerNode* const last = newest_->cells[--filled_];
  last->cell_ = node.cell_;
  *last->cell_ = last;
  if (filled_ > 0) return;
  pool.give(std::exchange(newest_, newest_->next));
  filled_ = Piece::kCells;
}

}  // namespace epore::internal
