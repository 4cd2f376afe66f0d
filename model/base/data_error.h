// The one exception of this folder for what a person can put right: an unreadable or damaged file, an option that does
// not fit the data. The message names the thing and the fix; a program's single catch prints it and exits with its
// code for user errors. Plain type; any thread.
#pragma once

#include <stdexcept>

namespace sink::data {

class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace sink::data
