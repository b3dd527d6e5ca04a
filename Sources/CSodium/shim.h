#ifndef QUARTERMASTER_CSODIUM_H
#define QUARTERMASTER_CSODIUM_H

#include <sodium.h>

#endif
