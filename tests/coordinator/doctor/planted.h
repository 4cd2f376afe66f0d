// A fault that a test plants, and what doctor has to say of it: shared by the tests of this folder.
#pragma once

#include <functional>
#include <ostream>

#include "coordinator/doctor/finding.h"

namespace sink::doctor {

template <typename Place>  // what the fault is planted into
struct PlantedIn {
  const char* name;
  Level level;
  const char* what;  // parts of the finding
  const char* fix;
  std::function<void(Place&)> plant;
};

template <typename Place>
void PrintTo(const PlantedIn<Place>& planted, std::ostream* out) {
  *out << planted.name;
}

}  // namespace sink::doctor
