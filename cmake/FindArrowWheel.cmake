# Arrow C++ out of the pyarrow wheel of the Python in use: its headers and libarrow.so.NNNN. Defines
# Arrow::arrow_shared and Parquet::parquet_shared as a system Arrow would, and
# ArrowWheel_LIBRARIES, the files that have to travel with what is linked to them. ArrowWheel_ROOT may
# name the folder of the unpacked wheel instead.
if(NOT ArrowWheel_ROOT)
  find_package(Python 3.11 COMPONENTS Interpreter QUIET)
endif()
if(Python_Interpreter_FOUND AND NOT ArrowWheel_ROOT)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
            "import importlib.util as u, os; s = u.find_spec('pyarrow'); print(os.path.dirname(s.origin) if s else '')"
    OUTPUT_VARIABLE ArrowWheel_ROOT
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(ArrowWheel_ROOT)
  file(GLOB ArrowWheel_ARROW "${ArrowWheel_ROOT}/libarrow.so.*00")
  file(GLOB ArrowWheel_PARQUET "${ArrowWheel_ROOT}/libparquet.so.*00")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(ArrowWheel REQUIRED_VARS ArrowWheel_ROOT ArrowWheel_ARROW
                                                          ArrowWheel_PARQUET)
if(ArrowWheel_FOUND AND NOT TARGET Arrow::arrow_shared)
  set(ArrowWheel_LIBRARIES "${ArrowWheel_ARROW}" "${ArrowWheel_PARQUET}")
  foreach(pair "Arrow::arrow_shared|${ArrowWheel_ARROW}" "Parquet::parquet_shared|${ArrowWheel_PARQUET}")
    string(REPLACE "|" ";" pair "${pair}")
    list(GET pair 0 target)
    list(GET pair 1 library)
    add_library(${target} SHARED IMPORTED)
    set_target_properties(${target} PROPERTIES IMPORTED_LOCATION "${library}"
                                               INTERFACE_INCLUDE_DIRECTORIES "${ArrowWheel_ROOT}/include")
  endforeach()
endif()
