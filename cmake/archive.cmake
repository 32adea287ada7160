# SPDX-License-Identifier: Apache-2.0
# hawse_archive(LIBS...): the target `hawse_archive`, one static library lib/libhawse.a out of several, and hawse.pc, for C++ programs outside
# this tree. Made for `make install` only. hawse-node.pc is libhawse_node.so's (src/node).
function(hawse_archive)
  set(output ${PROJECT_BINARY_DIR}/lib/libhawse.a)
  set(script "CREATE ${output}\n")
  foreach(library ${ARGN})
    string(APPEND script "ADDLIB $<TARGET_FILE:${library}>\n")
  endforeach()
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/generated/archive.mri CONTENT "${script}SAVE\nEND\n")
  add_custom_command(OUTPUT ${output} DEPENDS ${ARGN} VERBATIM
    COMMAND sh -c "${CMAKE_AR} -M < generated/archive.mri && ${CMAKE_STRIP} -g ${output}"
    WORKING_DIRECTORY ${PROJECT_BINARY_DIR} COMMENT "Archiving lib/libhawse.a")
  add_custom_target(hawse_archive DEPENDS ${output})

  # The place is the file's own, so that the prefix of `make install` needn't be known here.
  file(WRITE ${PROJECT_BINARY_DIR}/generated/hawse.pc "prefix=\${pcfiledir}/../..
Name: hawse
Description: Write nodes of Hawsepipe and embed pipelines, in C++
Version: ${PROJECT_VERSION}
Cflags: -std=c++20 -I\${prefix}/include
Libs: -L\${prefix}/lib -lhawse -Wl,--push-state,--as-needed -lSQLiteCpp -lsqlite3 -lyaml-cpp -lspdlog -lfmt -lcrypto -ldl -Wl,--pop-state -pthread
")
  file(WRITE ${PROJECT_BINARY_DIR}/generated/hawse-node.pc "prefix=\${pcfiledir}/../..
Name: hawse-node
Description: Write nodes of Hawsepipe, in C and whatever calls C
Version: ${PROJECT_VERSION}
Cflags: -I\${prefix}/include
Libs: -L\${prefix}/lib -lhawse_node
")
  install(FILES ${output} DESTINATION lib OPTIONAL)
  install(FILES ${PROJECT_BINARY_DIR}/generated/hawse.pc ${PROJECT_BINARY_DIR}/generated/hawse-node.pc DESTINATION lib/pkgconfig)
endfunction()
