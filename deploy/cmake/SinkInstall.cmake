# `cmake --install` and `cpack -G DEB`, from the same rules. Two components, each a Debian package:
#   control   sink-coordinator, sink-backup, sinkctl, sink-data, the coordinator's unit, sweeps, dashboards and alerts
#   worker    sink-worker, sink-trainer, sink-eval, the worker's unit, and LibTorch
# LibTorch comes along, in lib/sink and laid out as in its wheel, whose libraries find each other by that: Debian 12 has
# only 1.13, the wheel is no Debian package, and a package that fetched it while it is installed would fail on a machine
# without a network, and leave behind what dpkg knows nothing of. All other libraries are Debian's, as dpkg-shlibdeps
# finds them. CUDA's own (cuBLAS, cuDNN, NCCL) are those of the machine's toolkit.
include(GNUInstallDirs)
set(sink_libraries ${CMAKE_INSTALL_LIBDIR}/sink)
string(REPLACE "/${CMAKE_LIBRARY_ARCHITECTURE}" "" sink_libraries ${sink_libraries})

# sink_install_output(component program name folder argument ...): what the program prints, as a file of that name. It runs
# when it is installed, so that an ordinary build pays nothing. Names that end in .gz are compressed.
function(sink_install_output component program name folder)
  string(REGEX REPLACE "\\.gz$" "" plain ${name})
  set(file ${CMAKE_BINARY_DIR}/generated/install/${component}/${plain})
  set(code "file(MAKE_DIRECTORY \"${CMAKE_BINARY_DIR}/generated/install/${component}\")
execute_process(COMMAND \"$<TARGET_FILE:${program}>\" ${ARGN} OUTPUT_FILE \"${file}\" COMMAND_ERROR_IS_FATAL ANY)")
  if(NOT plain STREQUAL name)
    string(APPEND code "\nexecute_process(COMMAND gzip -9nf \"${file}\" COMMAND_ERROR_IS_FATAL ANY)")
  endif()
  install(CODE "${code}" COMPONENT ${component})
  install(FILES ${CMAKE_BINARY_DIR}/generated/install/${component}/${name} DESTINATION ${folder} COMPONENT ${component})
endfunction()

function(sink_install_programs component)
  foreach(program ${ARGN})
    install(TARGETS ${program} RUNTIME COMPONENT ${component})
    sink_install_output(${component} ${program} ${program}.1.gz ${CMAKE_INSTALL_MANDIR}/man1 --man)
  endforeach()
endfunction()

# sink_install_service(component unit environment): the unit, with the programs where they are installed, and its user. In
# /usr, which is what packages fill, also /etc/sink/ENVIRONMENT.
function(sink_install_service component unit environment)
  set(units ${CMAKE_SOURCE_DIR}/deploy/systemd)
  install(CODE "file(READ \"${units}/${unit}.service\" text)
string(REPLACE /usr/local/bin \"\${CMAKE_INSTALL_PREFIX}/bin\" text \"\${text}\")
file(WRITE \"${CMAKE_BINARY_DIR}/generated/install/${unit}.service\" \"\${text}\")
if(CMAKE_INSTALL_PREFIX STREQUAL /usr)
  file(INSTALL \"${CMAKE_SOURCE_DIR}/deploy/debian/${environment}\" DESTINATION /etc/sink)
endif()" COMPONENT ${component})
  install(FILES ${CMAKE_BINARY_DIR}/generated/install/${unit}.service DESTINATION lib/systemd/system
    COMPONENT ${component})
  install(FILES ${units}/${unit}.sysusers DESTINATION lib/sysusers.d RENAME ${unit}.conf COMPONENT ${component})
endfunction()

sink_install_programs(control sink-coordinator sink-backup sinkctl sink-data)
sink_install_service(control sink-coordinator coordinator.env)
sink_install_output(control sinkctl sinkctl share/bash-completion/completions completion bash)
sink_install_output(control sinkctl _sinkctl share/zsh/vendor-completions completion zsh)
sink_install_output(control sinkctl sinkctl.fish share/fish/vendor_completions.d completion fish)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/sweeps DESTINATION share/sink COMPONENT control FILES_MATCHING PATTERN "*.yaml"
  PATTERN reports EXCLUDE)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/deploy/prometheus ${CMAKE_SOURCE_DIR}/deploy/grafana DESTINATION share/sink
  COMPONENT control)
install(FILES ${CMAKE_SOURCE_DIR}/deploy/slurm/sink-worker.sbatch DESTINATION share/sink COMPONENT control)

if(SINK_TORCH)
  set_target_properties(sink-trainer sink-eval PROPERTIES
    INSTALL_RPATH "$ORIGIN/../${sink_libraries}:$ORIGIN/../${sink_libraries}/torch/lib")
  sink_install_programs(worker sink-worker sink-trainer sink-eval)
  sink_install_service(worker sink-worker worker.env)
  set(wheel ${SINK_TORCH_PREFIX})
  set(libraries libtorch_cpu.so libc10.so libgomp.so.1)
  if(SINK_HAVE_CUDA)
    set_target_properties(sink_cuda sink_nccl PROPERTIES INSTALL_RPATH "$ORIGIN:$ORIGIN/torch/lib")
    install(TARGETS sink_cuda sink_nccl LIBRARY DESTINATION ${sink_libraries} COMPONENT worker)
    list(APPEND libraries libtorch_cuda.so libc10_cuda.so libtorch_cuda_linalg.so libtorch_nvshmem.so libcaffe2_nvrtc.so)
    foreach(folder cusparselt nvshmem)
      install(DIRECTORY ${wheel}/nvidia/${folder}/lib DESTINATION ${sink_libraries}/nvidia/${folder} COMPONENT worker
        FILES_MATCHING PATTERN "*.so*")
    endforeach()
    install(FILES ${wheel}/nvidia/cu13/lib/libcufile.so.0 DESTINATION ${sink_libraries}/nvidia/cu13/lib COMPONENT worker)
  endif()
  list(TRANSFORM libraries PREPEND ${wheel}/torch/lib/)
  install(FILES ${libraries} DESTINATION ${sink_libraries}/torch/lib COMPONENT worker)
  # libtorch_cpu.so itself needs these, GPU or not.
  install(FILES ${wheel}/nvidia/cu13/lib/libcudart.so.13 ${wheel}/nvidia/cu13/lib/libcupti.so.13
    DESTINATION ${sink_libraries}/nvidia/cu13/lib COMPONENT worker)
  file(GLOB licences ${wheel}/torch-*.dist-info/licenses/LICENSE ${wheel}/torch-*.dist-info/licenses/NOTICE
    ${wheel}/torch-*.dist-info/LICENSE ${wheel}/torch-*.dist-info/NOTICE)
  install(FILES ${licences} DESTINATION share/doc/sink-worker/libtorch COMPONENT worker)
endif()

# --- Debian packages -------------------------------------------------------------------------------------------------
# sink_package(component unit data environment summary): its maintainer scripts, from deploy/debian.
function(sink_package component unit data environment summary)
  set(scripts "")
  foreach(script postinst prerm postrm)
    configure_file(${CMAKE_SOURCE_DIR}/deploy/debian/${script}.in ${CMAKE_BINARY_DIR}/generated/debian/${component}/${script}
      @ONLY)
    list(APPEND scripts ${CMAKE_BINARY_DIR}/generated/debian/${component}/${script})
  endforeach()
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/debian/${component}/conffiles CONTENT "/etc/sink/${environment}\n")
  list(APPEND scripts ${CMAKE_BINARY_DIR}/generated/debian/${component}/conffiles)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME sink-${component} PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA "${scripts}" PARENT_SCOPE)
  # A user is made by systemd-sysusers, which has a package of its own for machines without systemd.
  set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "systemd-standalone-sysusers | systemd-sysusers" PARENT_SCOPE)
  set(CPACK_COMPONENT_${upper}_DESCRIPTION "${summary}" PARENT_SCOPE)
  set(CPACK_COMPONENTS_ALL ${CPACK_COMPONENTS_ALL} ${component} PARENT_SCOPE)
endfunction()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sink)
set(CPACK_PACKAGE_CONTACT "Sink <sink@localhost>")
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL "")
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
sink_package(control sink-coordinator /var/lib/sink coordinator.env
  "Studies of attention sinks: coordinator, sinkctl and sink-data")
if(SINK_TORCH)
  sink_package(worker sink-worker /var/lib/sink-worker worker.env
    "Studies of attention sinks: worker, trainer and LibTorch")
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${SINK_TORCH_PREFIX}/torch/lib ${SINK_TORCH_PREFIX}/nvidia/cu13/lib)
endif()
include(CPack)
