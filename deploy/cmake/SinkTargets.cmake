# sink_add_library, sink_add_binary and sink_add_test: every target of the project is made by one of these, so that
# warnings, include root and sources are set in one place and never directory-wide. A folder is a library: it takes every
# .cc directly in it except main.cc, so a new file needs no edit here.
# A switch over a closed set names every value; one without default that lacks a value does not compile.
set(SINK_WARNINGS -Wall -Wextra -Werror=switch -Wno-unused-parameter -Wno-missing-field-initializers)

# What every program of the preset `tsan` has in addition; not sink-data, which has no absl.
if(SINK_TSAN)
  add_library(sink_tsan_absl OBJECT ${CMAKE_SOURCE_DIR}/tests/testing/tsan_absl.cc)
  target_link_libraries(sink_tsan_absl PUBLIC absl::synchronization)
  set(SINK_EXTRA_OBJECTS sink_tsan_absl)
endif()

function(sink_folder_sources out)
  set(all "")
  foreach(folder ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cc)
    list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
    list(APPEND all ${sources})
  endforeach()
  set(${out} ${all} PARENT_SCOPE)
endfunction()

# sink_add_library(NAME sink_foo [FOLDER dir ...] [ONLY names | BUT names] [HEADERS set] [TOGETHER n] DEPS ...): the folders
# as a static library with the alias sink::foo. ONLY and BUT, "name|name" without .cc, divide a folder between two
# libraries. HEADERS, here and below: SinkHeaders.cmake. TOGETHER: so many files are compiled as one, for libraries of
# many small files that instantiate the same templates; their unnamed namespaces share names, therefore.
function(sink_add_library)
  cmake_parse_arguments(ARG "" "NAME;ONLY;BUT;HEADERS;TOGETHER" "FOLDER;DEPS" ${ARGN})
  string(REGEX REPLACE "^sink_" "" short ${ARG_NAME})
  if(NOT ARG_FOLDER)
    set(ARG_FOLDER .)
  endif()
  sink_folder_sources(sources ${ARG_FOLDER})
  if(ARG_ONLY)
    list(FILTER sources INCLUDE REGEX "/(${ARG_ONLY})\\.cc$")
  elseif(ARG_BUT)
    list(FILTER sources EXCLUDE REGEX "/(${ARG_BUT})\\.cc$")
  endif()
  if(sources)
    add_library(${ARG_NAME} STATIC ${sources})
    target_compile_options(${ARG_NAME} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${SINK_WARNINGS}>)
    set(scope PUBLIC)
    if(ARG_HEADERS)
      sink_use_headers(${ARG_NAME} ${ARG_HEADERS})
    endif()
    if(ARG_TOGETHER AND SINK_PRECOMPILE)
      set_target_properties(${ARG_NAME} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${ARG_TOGETHER})
      # A class that a .cc defines for itself looks to GCC as one of an included file.
      target_compile_options(${ARG_NAME} PRIVATE -Wno-subobject-linkage)
    endif()
  else()
    add_library(${ARG_NAME} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${ARG_NAME} ${scope} ${CMAKE_SOURCE_DIR})
  target_link_libraries(${ARG_NAME} ${scope} ${ARG_DEPS})
  add_library(sink::${short} ALIAS ${ARG_NAME})
endfunction()

# sink_embed_text(target file header symbol): the file's text travels in the library, as the array of characters that the
# header declares: extern const char SYMBOL[].
function(sink_embed_text target file header symbol)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} text)
  get_filename_component(name ${file} NAME)
  set(source ${CMAKE_BINARY_DIR}/generated/${name}.cc)
  file(CONFIGURE OUTPUT ${source} CONTENT "#include \"@header@\"\nconst char @symbol@[] = R\"text(@text@)text\";\n" @ONLY)
  target_sources(${target} PRIVATE ${source})
endfunction()

# sink_embed_folder(target folder header entry function): every file of the folder travels in the library, as what the function
# gives that the header declares: std::span<const Entry> FUNCTION(), where Entry is {name, text}.
function(sink_embed_folder target folder header entry function)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*)
  set(entries "")
  foreach(file ${files})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(READ ${file} text)
    get_filename_component(name ${file} NAME)
    string(APPEND entries "    {\"${name}\", R\"text(${text})text\"},\n")
  endforeach()
  string(MAKE_C_IDENTIFIER ${folder} name)
  set(source ${CMAKE_BINARY_DIR}/generated/${name}.cc)
  file(CONFIGURE OUTPUT ${source} CONTENT
    "#include \"@header@\"\nstatic const @entry@ kFiles[] = {\n@entries@};\nstd::span<const @entry@> @function@() { return kFiles; }\n"
    @ONLY)
  target_sources(${target} PRIVATE ${source})
endfunction()

# sink_add_binary(NAME sink-foo MAIN file [HEADERS set] DEPS ...): a program in build/<preset>/bin.
function(sink_add_binary)
  cmake_parse_arguments(ARG "" "NAME;MAIN;HEADERS" "DEPS" ${ARGN})
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_MAIN})
    return()
  endif()
  add_executable(${ARG_NAME} ${ARG_MAIN})
  if(ARG_HEADERS)
    sink_use_headers(${ARG_NAME} ${ARG_HEADERS})
  endif()
  target_include_directories(${ARG_NAME} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${ARG_NAME} PRIVATE ${ARG_DEPS})
  if(NOT ARG_NAME STREQUAL sink-data)
    target_link_libraries(${ARG_NAME} PRIVATE ${SINK_EXTRA_OBJECTS})
  endif()
  target_compile_options(${ARG_NAME} PRIVATE ${SINK_WARNINGS})
endfunction()

# sink_add_plugin(NAME sink_foo FOLDER dir ... [HEADERS set] DEPS ...): the folders as a library beside the programs, which
# open it at run time.
function(sink_add_plugin)
  cmake_parse_arguments(ARG "" "NAME;HEADERS" "FOLDER;DEPS" ${ARGN})
  sink_folder_sources(sources ${ARG_FOLDER})
  add_library(${ARG_NAME} MODULE ${sources})
  if(ARG_HEADERS)
    sink_use_headers(${ARG_NAME} ${ARG_HEADERS})
  endif()
  set_target_properties(${ARG_NAME} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
  target_include_directories(${ARG_NAME} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${ARG_NAME} PRIVATE ${ARG_DEPS})
  # What is missing is to show here, and not when a program opens the library on a machine with a GPU.
  target_link_options(${ARG_NAME} PRIVATE -Wl,-z,defs)
  target_compile_options(${ARG_NAME} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${SINK_WARNINGS}>)
endfunction()

# sink_add_test(FOLDER coordinator/store ... [NAME name] [HEADERS set] DEPS ... [LABELS unit|integration|fault|gpu|slow]
# [TIMEOUT seconds]): every *_test.cc of tests/<folder>, with the helpers beside them, as one GoogleTest program and one
# CTest entry, called after the first folder. SINK_BIN_DIR and SINK_SOURCE_DIR reach it as environment variables, and
# XDG_CONFIG_HOME, so that no credential lands in the home of whoever runs the tests.
function(sink_add_test)
  cmake_parse_arguments(ARG "" "NAME;TIMEOUT;HEADERS" "FOLDER;DEPS;LABELS" ${ARGN})
  sink_folder_sources(sources ${ARG_FOLDER})
  if(NOT sources)
    return()
  endif()
  if(NOT ARG_NAME)
    list(GET ARG_FOLDER 0 ARG_NAME)
  endif()
  string(REPLACE "/" "_" name test_${ARG_NAME})
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 10")  # a sanitizer slows a program that many times, some threads more
  endif()
  add_executable(${name} ${sources})
  if(ARG_HEADERS)
    sink_use_headers(${name} ${ARG_HEADERS} TEST)
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests-bin)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest GTest::gtest_main ${SINK_EXTRA_OBJECTS})
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${SINK_WARNINGS}>)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT
    "SINK_BIN_DIR=${CMAKE_BINARY_DIR}/bin;SINK_SOURCE_DIR=${CMAKE_SOURCE_DIR};XDG_CONFIG_HOME=${CMAKE_BINARY_DIR}/tests-config")
endfunction()
