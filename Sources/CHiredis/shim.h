#ifndef QUARTERMASTER_CHIREDIS_H
#define QUARTERMASTER_CHIREDIS_H

#include <sys/select.h>
#include <sys/time.h>
#include <hiredis/hiredis.h>
#include "replies.h"
#include "tls.h"

#endif
