// The exceptions of data. The message names the thing and the fix; a program's single catch prints it and exits with
// its code for user errors. Plain types; any thread.
#pragma once

#include <stdexcept>

namespace sink::data {

// What a person can put right: an unreadable or damaged file, an option that does not fit the data.
class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Nothing is known to be wrong with the data: this machine could not read them now, or its copy of them is not whole.
// Trying again may help, here or on another one.
class MachineError : public DataError {
 public:
  using DataError::DataError;
};

}  // namespace sink::data
