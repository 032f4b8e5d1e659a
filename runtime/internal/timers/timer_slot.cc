#include "epore/runtime/internal/timers/timer_slot.h"

#include <cstdint>
#include <utility>

namespace epore::internal {

void TimerSlot::add(TimerNode& node, std::int64_t deadline, std::int16_t slot, Pool& pool) {
  if (empty() || filled_ == Piece::kCells) {
    Piece* const piece = pool.take();
    piece->slot.store(slot, std::memory_order_relaxed);
    append(piece);
    filled_ = 0;
  }
  TimerCell* const cell = &newest_->cells[filled_++];
  *cell = {&node, deadline};
  node.set_place(cell);
}

void TimerSlot::append(Piece* piece) {
  piece->next = piece->ahead = nullptr;
  if (empty()) {
    oldest_ = piece;
    piece->previous = nullptr;
  } else {
    newest_->next = piece;
    piece->previous = newest_;
    Piece* behind = newest_;
    for (int i = 1; i < Piece::kAhead && behind != nullptr; ++i) behind = behind->previous;
    if (behind != nullptr) behind->ahead = piece;
  }
  newest_ = piece;
}

void TimerSlot::remove(TimerNode& node, Pool& pool) {
  TimerCell* const cell = TimerNode::to_cell(node.place());
  *cell = newest_->cells[--filled_];
  cell->node->set_place(cell);
  if (filled_ > 0) return;
  Piece* const emptied = newest_;
  if (emptied == oldest_) {
    oldest_ = nullptr;
  } else {
    newest_ = emptied->previous;
    newest_->next = nullptr;
    filled_ = Piece::kCells;
  }
  pool.give(emptied);
}

void TimerSlot::clear(Pool& pool) {
  if (!empty()) pool.give(std::exchange(oldest_, nullptr), newest_);
}

}  // namespace epore::internal
