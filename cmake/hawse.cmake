# SPDX-License-Identifier: Apache-2.0
# hawse_library(name SOURCES a.cpp ... DEPS lib ...): a static library of one layer.
# hawse_test(name SOURCES a_test.cpp ... DEPS lib ... [LABELS x]): a GoogleTest program; every TEST becomes a ctest. The target hawse_tests builds
# them all; `make` alone builds none, so that whoever only wants the command doesn't wait for them.
# hawse_fuzz(name SOURCES x_fuzz.cpp ... DEPS lib ...): a libFuzzer target, in the preset `fuzz` only. What it tries is among its sources, so that
# the fuzzer sees its branches.
function(hawse_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS})
  target_compile_options(${name} PRIVATE ${HAWSE_WARNINGS})
  hawse_unity(${name})
endfunction()

# With HAWSE_UNITY a target's sources are compiled together: a third of the time, since headers and templates are the larger part of it. The preset `dev`, in which one
# edits, compiles each file alone, so a forgotten include is seen there. Hence names in anonymous namespaces are unique in a target, but where its folder sets HAWSE_EACH_ALONE.
function(hawse_unity name)
  if(HAWSE_UNITY AND NOT HAWSE_FUZZ AND NOT HAWSE_EACH_ALONE)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
  endif()
endfunction()

function(hawse_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT HAWSE_TESTS)
    return()
  endif()
  add_executable(${name} EXCLUDE_FROM_ALL ${ARG_SOURCES})
  if(NOT (HAWSE_SANITIZE AND ARG_LABELS STREQUAL "engine"))  # `make asan` and `make tsan` run what needs no engine
    add_dependencies(hawse_tests ${name})
  endif()
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  target_compile_options(${name} PRIVATE ${HAWSE_WARNINGS})
  hawse_unity(${name})
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 300)
endfunction()

function(hawse_fuzz name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  if(NOT HAWSE_FUZZ)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  target_compile_options(${name} PRIVATE ${HAWSE_WARNINGS} -fsanitize=fuzzer)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  if(NOT TARGET fuzz_targets)
    add_custom_target(fuzz_targets)
  endif()
  add_dependencies(fuzz_targets ${name})
endfunction()
