# LibTorch as one imported target, sink::torch, found in the private prefix that deploy/bootstrap.sh fills from the
# PyPI wheel. Linking the libraries by name instead of find_package(Torch) keeps a machine without a CUDA toolkit able
# to build (the wheel's CMake files demand one) and keeps protobuf-carrying include folders off every other target.
set(SINK_HAVE_CUDA OFF)
if(NOT SINK_TORCH)
  message(STATUS "Sink: control programs only (SINK_TORCH=OFF)")
  return()
endif()

set(SINK_TORCH_PREFIX ${SINK_DEPS}/libtorch-2.11.0)  # holds the torch wheel's contents
set(torch_root ${SINK_TORCH_PREFIX}/torch)
if(NOT EXISTS ${torch_root}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "No LibTorch in ${SINK_TORCH_PREFIX}. Run deploy/bootstrap.sh, or configure with --preset control.")
endif()

# The kernels take minutes to compile, which a machine without a GPU would spend for nothing.
set(want_cuda ON)
if(SINK_CUDA STREQUAL "OFF" OR (SINK_CUDA STREQUAL "AUTO" AND NOT EXISTS /dev/nvidiactl AND NOT EXISTS /dev/dxg))
  set(want_cuda OFF)
endif()
if(want_cuda)
  find_program(SINK_NVCC nvcc HINTS /usr/local/cuda/bin)
  if(SINK_NVCC)
    set(CMAKE_CUDA_COMPILER ${SINK_NVCC})
    set(CMAKE_CUDA_STANDARD 17)
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 80 90)
    endif()
    enable_language(CUDA)
    find_package(CUDAToolkit REQUIRED)
    set(SINK_HAVE_CUDA ON)
  elseif(SINK_CUDA STREQUAL "ON")
    message(FATAL_ERROR "SINK_CUDA=ON but no nvcc was found")
  endif()
endif()

add_library(sink_torch INTERFACE)
add_library(sink::torch ALIAS sink_torch)
target_include_directories(sink_torch SYSTEM INTERFACE
  ${torch_root}/include ${torch_root}/include/torch/csrc/api/include)
# at::parallel_for is a header and runs serially in a file compiled without OpenMP.
target_compile_options(sink_torch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>)
# By path, so that CMake writes it into the programs of the build tree, and not into those that are installed.
target_link_options(sink_torch INTERFACE -Wl,--allow-shlib-undefined)
target_link_libraries(sink_torch INTERFACE ${torch_root}/lib/libtorch_cpu.so ${torch_root}/lib/libc10.so gomp
  Threads::Threads)

# c10d's headers include Gloo's, which the wheel lacks. Only to compile: Gloo itself is in libtorch_cpu.so, in another
# version, and libgloo must not be linked.
find_path(SINK_GLOO_HEADERS gloo/context.h REQUIRED)
add_library(sink_gloo_headers INTERFACE)
add_library(sink::gloo_headers ALIAS sink_gloo_headers)
target_include_directories(sink_gloo_headers SYSTEM INTERFACE ${SINK_GLOO_HEADERS})
target_link_libraries(sink_gloo_headers INTERFACE ${CMAKE_DL_LIBS})
if(SINK_HAVE_CUDA)
  # libtorch_cuda.so is opened at run time, by a program that was given a GPU: loading it costs seconds and a gigabyte.
  add_library(sink_torch_cuda INTERFACE)
  add_library(sink::torch_cuda ALIAS sink_torch_cuda)
  target_link_libraries(sink_torch_cuda INTERFACE sink_torch ${torch_root}/lib/libtorch_cuda.so
    ${torch_root}/lib/libc10_cuda.so CUDA::cudart)
  # cuDNN's front end is headers; cuDNN itself comes with the toolkit or, as wheels, with LibTorch.
  find_path(SINK_CUDNN_FRONTEND cudnn_frontend.h HINTS ${SINK_DEPS}/cudnn-frontend-1.32.0/include)
  find_path(SINK_CUDNN_HEADERS cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ${SINK_TORCH_PREFIX}/nvidia/cudnn/include)
  find_library(SINK_CUDNN NAMES cudnn libcudnn.so.9 HINTS ${CUDAToolkit_LIBRARY_DIR}
    ${SINK_TORCH_PREFIX}/nvidia/cudnn/lib)
  set(SINK_HAVE_CUDNN OFF)
  if(SINK_CUDNN_FRONTEND AND SINK_CUDNN_HEADERS AND SINK_CUDNN)
    set(SINK_HAVE_CUDNN ON)
    add_library(sink_cudnn INTERFACE)
    add_library(sink::cudnn ALIAS sink_cudnn)
    target_include_directories(sink_cudnn SYSTEM INTERFACE ${SINK_CUDNN_FRONTEND} ${SINK_CUDNN_HEADERS})
    target_compile_definitions(sink_cudnn INTERFACE CUDNN_FRONTEND_SKIP_JSON_LIB)
    target_link_libraries(sink_cudnn INTERFACE ${SINK_CUDNN} CUDA::cudart CUDA::nvrtc ${CMAKE_DL_LIBS})
  else()
    message(STATUS "Sink: no cuDNN front end (deploy/bootstrap.sh), attention has our own kernels alone")
  endif()
  message(STATUS "Sink: LibTorch with CUDA (${SINK_NVCC}), architectures ${CMAKE_CUDA_ARCHITECTURES}")
else()
  message(STATUS "Sink: LibTorch, CPU only (no CUDA toolkit or no GPU found, or SINK_CUDA=OFF)")
endif()
