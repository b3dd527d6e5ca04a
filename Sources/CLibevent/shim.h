#ifndef QUARTERMASTER_CLIBEVENT_H
#define QUARTERMASTER_CLIBEVENT_H

// Before event2, whose configuration header would otherwise decide the feature macros that fd_set depends on.
#include <sys/select.h>
#include <event2/event.h>

#endif
