/* CUDA's driver and TensorRT as a Jetson Orin with JetPack 6 answers, for what daemon/inference/platform.py asks.
   Source of signatures and numbers: cuda.h of CUDA 12.6, NvInferRuntime.h of TensorRT 10.3. */
#include <string.h>

int getInferLibVersion(void) { return 100300; }
int cuInit(unsigned flags) { return flags != 0; }
int cuDriverGetVersion(int *version) { *version = 12060; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 7; return ordinal != 0; }

int cuDeviceGetName(char *name, int length, int device) {
    strncpy(name, "Orin", length);
    return device != 7;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : -1;
    return device != 7;
}
