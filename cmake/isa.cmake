# The kernels once per instruction set, and the choice at run time: the same scalar sources, and for
# the sets with wide vectors kernels/vector/ as well.
#
# Compilers that do not take these flags, and architectures that are not named here, have the
# reference table alone; a build for several architectures at once (macOS) likewise.

file(GLOB csd_vector_sources CONFIGURE_DEPENDS kernels/vector/*.c)

# csd_add_isa(NAME FLAG...): kernels/reference/*.c as csd_NAME_..., and kernels/vector/*.c but for the
# baseline, if the compiler takes the flags.
function(csd_add_isa name)
  if(ARGN)
    string(REPLACE ";" " " CMAKE_REQUIRED_FLAGS "${ARGN}")
    check_c_source_compiles("int main(void) { return 0; }" CSD_COMPILER_HAS_${name})
    if(NOT CSD_COMPILER_HAS_${name})
      return()
    endif()
  endif()
  add_library(csideploy_${name} OBJECT ${csd_kernel_sources})
  if(NOT name STREQUAL "baseline")
    target_sources(csideploy_${name} PRIVATE ${csd_vector_sources})
    target_compile_definitions(csideploy_${name} PRIVATE CSD_WITH_FAST)
  endif()
  target_include_directories(csideploy_${name} PRIVATE runtime/include)
  target_compile_definitions(csideploy_${name} PRIVATE CSD_ISA=${name})
  target_compile_options(csideploy_${name} PRIVATE ${csd_warnings} ${csd_numbers} ${csd_fast} ${ARGN})
  target_sources(csideploy_dispatch PRIVATE $<TARGET_OBJECTS:csideploy_${name}>)
  string(TOUPPER ${name} upper)
  target_compile_definitions(csideploy_dispatch PRIVATE CSD_WITH_${upper})
endfunction()

add_library(csideploy_dispatch STATIC runtime/host/dispatch.c runtime/host/angular_delay.c)
target_compile_options(csideploy_dispatch PRIVATE ${csd_warnings})
target_link_libraries(csideploy_dispatch PUBLIC csideploy_runtime)

list(LENGTH CMAKE_OSX_ARCHITECTURES csd_architectures)
if(CSIDEPLOY_DISPATCH AND NOT MSVC AND csd_architectures LESS 2
   AND CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
  include(CheckCSourceCompiles)
  set(csd_processor "${CMAKE_SYSTEM_PROCESSOR}")
  if(csd_architectures EQUAL 1)
    set(csd_processor "${CMAKE_OSX_ARCHITECTURES}")
  endif()
  # A build without optimisation, for a debugger, stays one.
  set(csd_fast $<$<NOT:$<CONFIG:Debug>>:-O3>)
  if(csd_processor MATCHES "^(x86_64|amd64|AMD64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
    set(csd_avx2 -mavx2 -mfma)
    csd_add_isa(baseline)
    csd_add_isa(avx2 ${csd_avx2})
    # What the compiler vectorises: vectors of 256 bits, with the instructions and masks of AVX-512: an image's row is 32 wide, and
    # whole vectors of 512 bits made the fp32 decoder a fifth slower, the int8 one no faster.
    set(csd_avx512 ${csd_avx2} -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mavx512vnni
                   -mprefer-vector-width=256)
    csd_add_isa(avx512 ${csd_avx512})
  elseif(csd_processor MATCHES "^(aarch64|arm64)$")
    csd_add_isa(neon)
    csd_add_isa(dotprod -march=armv8.2-a+dotprod)
  endif()
endif()

# Where a faster table is there, the reference is the plain scalar code that it says it is.
if(TARGET csideploy_baseline OR TARGET csideploy_neon)
  target_compile_options(csideploy_runtime PRIVATE -fno-tree-vectorize)
  target_compile_definitions(csideploy_runtime PRIVATE CSD_SCALAR)
endif()
