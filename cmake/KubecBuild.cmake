# Compiler settings, and the functions that define layers, daemon parts, binaries and tests.
#
# Every layer and every part is a static library of its own that sees only the headers of what it links: its sources
# are reached through a directory of links under <build>/inc/<target>/, so that `#include "json/json.h"` compiles
# only in a target that links the layer `json`.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

option(KUBEC_TESTS "build the tests" ON)
set(KUBEC_SANITIZE "" CACHE STRING "sanitizers, as for -fsanitize=")

add_compile_definitions(_GNU_SOURCE KUBEC_VERSION="${PROJECT_VERSION}")
add_compile_options(-Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
  -Wwrite-strings -Wvla -Wno-missing-field-initializers -fno-common)
if(KUBEC_SANITIZE)
  add_compile_options(-fsanitize=${KUBEC_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=${KUBEC_SANITIZE})
endif()
if(CMAKE_BUILD_TYPE STREQUAL Release)
  add_compile_options(-fstack-protector-strong -fstack-clash-protection -ffunction-sections -fdata-sections)
  add_compile_definitions(_FORTIFY_SOURCE=2)
  add_link_options(-Wl,-z,relro,-z,now -Wl,--gc-sections -Wl,--as-needed -pie)
endif()

# kc_library(<target> <include prefix> [DEPS <targets>] [GENERATED <sources>])
# A static library of the .c files of the current directory; its headers are included as "<include prefix>/x.h".
function(kc_library target prefix)
  cmake_parse_arguments(A "" "" "DEPS;GENERATED" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.c)
  list(FILTER sources EXCLUDE REGEX "/main\\.c$")
  set(links ${CMAKE_BINARY_DIR}/inc/${target})
  get_filename_component(parent ${links}/${prefix} DIRECTORY)
  file(MAKE_DIRECTORY ${parent})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${links}/${prefix} SYMBOLIC)
  if(sources OR A_GENERATED)
    add_library(${target} STATIC ${sources} ${A_GENERATED})
    target_include_directories(${target} PUBLIC ${links})
    target_link_libraries(${target} PUBLIC ${A_DEPS})
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${links})
    target_link_libraries(${target} INTERFACE ${A_DEPS})
  endif()
endfunction()

# kc_binary(<name> DEPS <targets>): an executable of main.c of the current directory, in <build>/bin.
function(kc_binary name)
  cmake_parse_arguments(A "" "" "DEPS" ${ARGN})
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/main.c)
    add_executable(${name} main.c)
    target_link_libraries(${name} PRIVATE ${A_DEPS})
  endif()
endfunction()

# kc_unit_tests(<directory below tests/unit> DEPS <targets>): one cmocka binary and one ctest for each *_test.c in it.
function(kc_unit_tests dir)
  cmake_parse_arguments(A "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${dir}/*_test.c)
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    string(REPLACE "/" "_" test "unit_${dir}_${name}")
    add_executable(${test} ${source})
    set_target_properties(${test} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    target_link_libraries(${test} PRIVATE ${A_DEPS} PkgConfig::cmocka)
    target_compile_definitions(${test} PRIVATE TEST_DATA_DIR="${CMAKE_SOURCE_DIR}/tests/unit/${dir}/testdata")
    add_test(NAME ${test} COMMAND ${test})
    set_tests_properties(${test} PROPERTIES TIMEOUT 120)
  endforeach()
endfunction()
