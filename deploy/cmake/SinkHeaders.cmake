# Headers of other projects, compiled once for all files that include them: they are most of what a file costs. A target
# says which set it uses (HEADERS of sink_add_library, sink_add_binary, sink_add_test):
#   neutral   nlohmann/json and the standard library
#   control   the same, Abseil, protobuf and gRPC
#   torch     the same as neutral, and ATen's tensors
# and for tests each with GoogleTest. Only headers that many files need and that change with the machine, not with the
# project, belong here. Every file still includes what it uses: the presets asan, tsan and fuzz build without this.
option(SINK_PRECOMPILE "Precompile the headers of other projects" ON)

set(SINK_NEUTRAL_HEADERS <algorithm> <cmath> <cstdint> <cstdio> <filesystem> <fstream> <functional> <map> <memory>
  <optional> <sstream> <string> <string_view> <utility> <vector> <nlohmann/json.hpp>)
set(SINK_CONTROL_HEADERS ${SINK_NEUTRAL_HEADERS} <absl/container/flat_hash_map.h> <absl/container/flat_hash_set.h>
  <absl/status/statusor.h> <absl/strings/str_cat.h> <absl/strings/str_join.h> <absl/strings/str_split.h>
  <absl/synchronization/mutex.h> <absl/synchronization/notification.h> <absl/time/clock.h> <absl/time/time.h>
  <google/protobuf/generated_message_reflection.h> <google/protobuf/map.h> <google/protobuf/message.h>
  <google/protobuf/repeated_field.h> <google/protobuf/unknown_field_set.h> <grpcpp/grpcpp.h>)
set(SINK_TORCH_HEADERS ${SINK_NEUTRAL_HEADERS} <ATen/core/Tensor.h> <ATen/Parallel.h> <ATen/TensorOperators.h>)
set(SINK_NEUTRAL_LIBRARIES Threads::Threads)
set(SINK_CONTROL_LIBRARIES gRPC::grpc++ protobuf::libprotobuf absl::flat_hash_map absl::statusor absl::synchronization
  absl::time Threads::Threads)
set(SINK_TORCH_LIBRARIES sink_torch Threads::Threads)

# sink_use_headers(target set [TEST]): the set is compiled by the first target that asks for it.
function(sink_use_headers target set)
  cmake_parse_arguments(ARG "TEST" "" "" ${ARGN})
  if(NOT SINK_PRECOMPILE)
    return()
  endif()
  string(TOUPPER ${set} upper)
  set(headers ${SINK_${upper}_HEADERS})
  set(libraries ${SINK_${upper}_LIBRARIES})
  set(owner sink_${set}_headers)
  if(ARG_TEST)
    set(owner sink_${set}_test_headers)
    list(APPEND headers <gmock/gmock.h> <gtest/gtest.h>)
    list(APPEND libraries GTest::gmock GTest::gtest)
  endif()
  if(NOT TARGET ${owner})
    set(empty ${CMAKE_BINARY_DIR}/generated/${owner}.cc)
    file(CONFIGURE OUTPUT ${empty} CONTENT "")
    add_library(${owner} OBJECT EXCLUDE_FROM_ALL ${empty})
    target_link_libraries(${owner} PRIVATE ${libraries})
    target_compile_options(${owner} PRIVATE -pthread)
    target_precompile_headers(${owner} PRIVATE ${headers})
  endif()
  target_precompile_headers(${target} REUSE_FROM ${owner})
  # As the headers were compiled: of programs, too, and of targets without threads.
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:-fPIC;-pthread>")
endfunction()
