// The terminal as a whole, for a command that draws over all of it and is steered by keys. Main thread; one at a time.
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"

namespace sink::cli {

// While it lives the terminal shows a screen of the command's own and hands keys over as they are pressed. Its end
// gives the terminal back as it was.
class FullScreen {
 public:
  virtual ~FullScreen() = default;
  // The bytes of the keys that were pressed; nothing after `wait`, or when the window has changed its size.
  virtual std::string ReadKeys(absl::Duration wait) = 0;
};

// Of standard input and output; null where one of them is no terminal.
std::unique_ptr<FullScreen> OpenTerminal();

// Gives the terminal back at once, for an exit without destructors. Safe in a signal handler and from any thread; does
// nothing without a FullScreen.
void RestoreTerminal();

}  // namespace sink::cli
