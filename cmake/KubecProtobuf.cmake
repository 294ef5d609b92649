# Protocol buffers: C code of a .proto file, made by protoc-c at build time.

find_program(PROTOC_C protoc-c REQUIRED)

# kc_protobuf(<target> <file.proto>): a static library of the code generated from the file of the current directory. Its
# header is included as "<name of the directory>/<file>.pb-c.h"; calls go through grpc/channel.h.
function(kc_protobuf target proto)
  get_filename_component(name ${proto} NAME_WE)
  get_filename_component(prefix ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  set(root ${CMAKE_BINARY_DIR}/proto/${target})
  set(out ${root}/${prefix})
  file(MAKE_DIRECTORY ${out})
  add_custom_command(
    OUTPUT ${out}/${name}.pb-c.c ${out}/${name}.pb-c.h
    COMMAND ${PROTOC_C} --c_out=${out} --proto_path=${CMAKE_CURRENT_SOURCE_DIR} ${proto}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${proto}
    COMMENT "protoc-c ${proto}")
  add_library(${target} STATIC ${out}/${name}.pb-c.c ${out}/${name}.pb-c.h)
  # System: generated headers are not held to our warnings.
  target_include_directories(${target} SYSTEM PUBLIC ${root})
  target_include_directories(${target} PRIVATE ${out})
  target_compile_options(${target} PRIVATE -Wno-strict-prototypes -Wno-shadow)
  # GNU C predefines `linux`, which CRI has as a field.
  target_compile_options(${target} PUBLIC -Ulinux)
  target_link_libraries(${target} PUBLIC PkgConfig::protobufc)
endfunction()
