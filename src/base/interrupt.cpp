// SPDX-License-Identifier: Apache-2.0
#include "base/interrupt.hpp"

#include "base/error.hpp"

namespace hawse {

void Interrupt::now() noexcept {
  const std::lock_guard lock(mutex_);
  if (came_) return;
  came_ = true;
  for (const auto& wake : waiting_) wake();
}

bool Interrupt::came() const noexcept {
  const std::lock_guard lock(mutex_);
  return came_;
}

void Interrupt::check(const std::string& operation) const {
  if (came()) throw Error(ErrorCode::interrupted, operation, "interrupted");
}

Interrupt::Waiting::Waiting(Interrupt* interrupt, std::function<void()> wake) : interrupt_(interrupt) {
  if (interrupt_ == nullptr) return;
  const std::lock_guard lock(interrupt_->mutex_);
  place_ = interrupt_->waiting_.insert(interrupt_->waiting_.end(), std::move(wake));
  if (interrupt_->came_) (*place_)();
}

Interrupt::Waiting::~Waiting() {
  if (interrupt_ == nullptr) return;
  const std::lock_guard lock(interrupt_->mutex_);
  interrupt_->waiting_.erase(place_);
}

}  // namespace hawse
