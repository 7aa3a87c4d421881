# ACRNet's convolutions for training (kernels/training/), once per instruction set that has wide vectors,
# and its extension module. Python chooses among them; where none is, training is torch's.

set(csd_training_isas "")

function(csd_add_training name)
  add_library(csideploy_training_${name} OBJECT kernels/training/block.c kernels/training/head.c)
  target_include_directories(csideploy_training_${name} PRIVATE runtime/include)
  target_compile_definitions(csideploy_training_${name} PRIVATE CSD_ISA=${name})
  target_compile_options(csideploy_training_${name}
                         PRIVATE ${csd_warnings} ${csd_numbers} ${csd_fast} ${ARGN})
  set(csd_training_isas ${csd_training_isas} ${name} PARENT_SCOPE)
endfunction()

if(TARGET csideploy_avx2)
  csd_add_training(avx2 ${csd_avx2})
endif()
if(TARGET csideploy_avx512)
  csd_add_training(avx512 ${csd_avx512})
endif()
if(TARGET csideploy_neon)
  csd_add_training(neon)
endif()

if(csd_training_isas)
  find_package(Threads REQUIRED)
  nanobind_add_module(_block NB_STATIC NOMINSIZE kernels/training/module.cpp)
  target_compile_options(_block PRIVATE ${csd_warnings})
  target_link_libraries(_block PRIVATE Threads::Threads)
  foreach(name ${csd_training_isas})
    target_sources(_block PRIVATE $<TARGET_OBJECTS:csideploy_training_${name}>)
    string(TOUPPER ${name} upper)
    target_compile_definitions(_block PRIVATE CSD_WITH_${upper})
  endforeach()
  install(TARGETS _block LIBRARY DESTINATION csideploy/training)
endif()
