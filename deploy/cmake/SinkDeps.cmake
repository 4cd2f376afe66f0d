# SINK_DEPS: the folder that deploy/bootstrap.sh fills. $SINK_DEPS, else ${XDG_CACHE_HOME:-~/.cache}/sink. Looked up at each
# configuration, so that a build follows a change of it.
set(SINK_DEPS $ENV{SINK_DEPS})
if(SINK_DEPS)
  cmake_path(ABSOLUTE_PATH SINK_DEPS BASE_DIRECTORY ${CMAKE_SOURCE_DIR} NORMALIZE)
elseif(NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
  set(SINK_DEPS $ENV{XDG_CACHE_HOME}/sink)
else()
  set(SINK_DEPS $ENV{HOME}/.cache/sink)
endif()

option(SINK_REQUIRE_ORACLES "Fail where programs that tests compare against are missing, as tests/run.sh asks" OFF)
function(sink_oracles_missing what)
  if(SINK_REQUIRE_ORACLES)
    message(FATAL_ERROR "Sink: no ${what} in ${SINK_DEPS}; deploy/bootstrap.sh --tests installs them")
  endif()
  message(STATUS "Sink: no ${what} (deploy/bootstrap.sh --tests), their tests are left out")
endfunction()
