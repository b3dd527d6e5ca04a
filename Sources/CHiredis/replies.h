#ifndef QUARTERMASTER_CHIREDIS_REPLIES_H
#define QUARTERMASTER_CHIREDIS_REPLIES_H

// Reply objects from one piece of memory per connection instead of one allocation per element.
//
// hiredis builds one reply at a time, hands it to a callback and frees it before it builds the next, so freeing the
// root gives everything back at once. The objects are hiredis's own `redisReply`, filled as hiredis fills them.

#include <hiredis/hiredis.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// A piece beyond the first, for replies that do not fit it; given back with the reply.
struct qm_reply_piece {
    struct qm_reply_piece *next;
    void *unused; // keeps what follows aligned to 16
};

struct qm_replies {
    char *next, *end;
    char *first;
    struct qm_reply_piece *further;
    size_t further_bytes;
};

#define QM_REPLIES_FIRST_PIECE 8192
// What one reply may take. Redis's own limit for a string is twice that; we keep none that is nearly as large.
#define QM_REPLIES_MOST_BYTES 268435456

static inline struct qm_replies *qm_replies_new(void) {
    struct qm_replies *replies = (struct qm_replies *)calloc(1, sizeof *replies);
    if (!replies) return NULL;
    replies->first = replies->next = (char *)malloc(QM_REPLIES_FIRST_PIECE);
    if (!replies->first) {
        free(replies);
        return NULL;
    }
    replies->end = replies->first + QM_REPLIES_FIRST_PIECE;
    return replies;
}

static inline void qm_replies_clear(struct qm_replies *replies) {
    while (replies->further) {
        struct qm_reply_piece *piece = replies->further;
        replies->further = piece->next;
        free(piece);
    }
    replies->further_bytes = 0;
    replies->next = replies->first;
    replies->end = replies->first + QM_REPLIES_FIRST_PIECE;
}

static inline void qm_replies_free(struct qm_replies *replies) {
    if (!replies) return;
    qm_replies_clear(replies);
    free(replies->first);
    free(replies);
}

static inline void *qm_replies_take(struct qm_replies *replies, size_t bytes) {
    if (bytes > QM_REPLIES_MOST_BYTES) return NULL;
    bytes = (bytes + 15) & ~(size_t)15;
    if ((size_t)(replies->end - replies->next) < bytes) {
        size_t size = bytes > 65536 ? bytes : 65536;
        if (size > QM_REPLIES_MOST_BYTES - replies->further_bytes) return NULL;
        struct qm_reply_piece *piece = (struct qm_reply_piece *)malloc(sizeof *piece + size);
        if (!piece) return NULL;
        piece->next = replies->further;
        replies->further = piece;
        replies->further_bytes += size;
        replies->next = (char *)(piece + 1);
        replies->end = replies->next + size;
    }
    void *taken = replies->next;
    replies->next += bytes;
    return taken;
}

// An empty object, hung into its parent; before a root stands the address of the memory it is in, for
// `qm_reply_free`, which is given nothing else.
static inline redisReply *qm_reply_make(const redisReadTask *task, size_t extra) {
    struct qm_replies *replies = (struct qm_replies *)task->privdata;
    size_t prefix = task->parent ? 0 : 16;
    if (extra > SIZE_MAX / 4) return NULL;
    char *memory = (char *)qm_replies_take(replies, prefix + sizeof(redisReply) + extra);
    if (!memory) return NULL;
    if (prefix) *(struct qm_replies **)memory = replies;
    redisReply *reply = (redisReply *)(memory + prefix);
    memset(reply, 0, sizeof *reply);
    reply->type = task->type;
    if (task->parent) ((redisReply *)task->parent->obj)->element[task->idx] = reply;
    return reply;
}

static inline void *qm_reply_string(const redisReadTask *task, char *text, size_t length) {
    if (length > SIZE_MAX / 4) return NULL;
    redisReply *reply = qm_reply_make(task, length + 1);
    if (!reply) return NULL;
    reply->str = (char *)(reply + 1);
    reply->len = length;
    memcpy(reply->str, text, length);
    reply->str[length] = 0;
    return reply;
}

static inline void *qm_reply_integer(const redisReadTask *task, long long value) {
    redisReply *reply = qm_reply_make(task, 0);
    if (reply) reply->integer = value;
    return reply;
}

static inline void *qm_reply_nil(const redisReadTask *task) {
    redisReply *reply = qm_reply_make(task, 0);
    // The task's type is what was announced: `$-1` is a string and `*-1` an array.
    if (reply) reply->type = REDIS_REPLY_NIL;
    return reply;
}

static inline void *qm_reply_elements(const redisReadTask *task, size_t count) {
    if (count > SIZE_MAX / 4 / sizeof(redisReply *)) return NULL;
    redisReply *reply = qm_reply_make(task, count * sizeof(redisReply *));
    if (!reply) return NULL;
    // A reply that breaks off is freed as a whole, so elements that never came need no mark.
    reply->elements = count;
    if (count) reply->element = (redisReply **)(reply + 1);
    return reply;
}

static inline void qm_reply_free(void *root) {
    if (root) qm_replies_clear(*(struct qm_replies **)((char *)root - 16));
}

#if HIREDIS_MAJOR >= 1
static inline void *qm_reply_array(const redisReadTask *task, size_t count) { return qm_reply_elements(task, count); }

// RESP3 only, which we never ask for.
static inline void *qm_reply_double(const redisReadTask *task, double value, char *text, size_t length) {
    redisReply *reply = (redisReply *)qm_reply_string(task, text, length);
    if (reply) reply->dval = value;
    return reply;
}

static inline void *qm_reply_bool(const redisReadTask *task, int value) { return qm_reply_integer(task, value); }

static redisReplyObjectFunctions qm_reply_functions = {
    qm_reply_string, qm_reply_array, qm_reply_integer, qm_reply_double, qm_reply_nil, qm_reply_bool, qm_reply_free,
};
#else
static inline void *qm_reply_array(const redisReadTask *task, int count) {
    return count < 0 ? NULL : qm_reply_elements(task, (size_t)count);
}

static redisReplyObjectFunctions qm_reply_functions = {
    qm_reply_string, qm_reply_array, qm_reply_integer, qm_reply_nil, qm_reply_free,
};
#endif

// Has a connection's replies built in `replies`, which outlives the connection. Before anything is read.
static inline void qm_use_replies(redisContext *connection, struct qm_replies *replies) {
    connection->reader->fn = &qm_reply_functions;
    connection->reader->privdata = replies;
}

#endif
