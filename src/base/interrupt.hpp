// SPDX-License-Identifier: Apache-2.0
//
// Ends what other threads wait in. Whoever is about to wait says how it is woken (a socket is shut down, a child killed), and looks at came() when it
// is. It comes once and stays: every later wait ends at once, too.
// Threading: any thread. `wake` runs in the thread that calls now(), or in the one that makes the Waiting; never after that is destroyed.
#pragma once

#include <functional>
#include <list>
#include <mutex>
#include <string>

namespace hawse {

class Interrupt {
 public:
  void now() noexcept;
  bool came() const noexcept;
  void check(const std::string& operation) const;  // throws Error(interrupted) once it has come

  class Waiting {
   public:
    Waiting(Interrupt* interrupt, std::function<void()> wake);  // null: nothing will come
    ~Waiting();
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    Interrupt* interrupt_;
    std::list<std::function<void()>>::iterator place_;
  };

 private:
  mutable std::mutex mutex_;
  bool came_ = false;
  std::list<std::function<void()>> waiting_;
};

}  // namespace hawse
